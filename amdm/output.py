"""How both command lines print results: plain where they are read on, tables on a terminal, or one JSON document."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from amdm.errors import printable

JsonOption = Annotated[
    bool, typer.Option("--json", help="print the result as one JSON document, and nothing else, on stdout")
]
_CELL_END = re.compile(r"(?<!\\)\|")


def tell(text: str, document: Any, as_json: bool = False) -> None:
    """Print a result on stdout.

    Args:
        text: for readers: Markdown, whose tables are drawn where stdout is a terminal.
        document: the same for programs (see :func:`plain`).
    """
    if as_json:
        typer.echo(json.dumps(plain(document), indent=2, allow_nan=False))  # ASCII: no terminal obeys it
    elif sys.stdout.isatty():
        _draw(text)
    else:
        typer.echo(text)


def tell_aside(text: str, as_json: bool = False) -> None:
    """Print what is no result: on stdout, but for a command whose stdout is a JSON document."""
    typer.echo(text, err=as_json)


def plain(value: Any) -> Any:
    """As JSON has it: tables as lists of rows, paths as texts, numbers that are not finite as null.

    >>> plain({"a": (1, float("nan")), "b": Path("c")})
    {'a': [1, None], 'b': 'c'}
    """
    if hasattr(value, "to_dict"):  # a table of pandas, which is not imported for this
        return plain(value.to_dict("records"))
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "item"):  # a number of NumPy
        return plain(value.item())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Iterable):
        return [plain(one) for one in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _draw(text: str) -> None:
    """Lines as they are, headings bold, tables drawn. What stands in a text is shown, never obeyed."""
    from rich.console import Console
    from rich.text import Text

    console = Console(markup=False, highlight=False, emoji=False)
    for table, lines in blocks(text):
        if table:
            console.print(_table(lines))
            continue
        for line in lines:
            heading = re.match(r"#+ ", line)
            shown = Text(printable(line[heading.end() :] if heading else line), "bold" if heading else "")
            console.print(shown, soft_wrap=True)


def blocks(text: str) -> list[tuple[bool, list[str]]]:
    """Runs of lines, and whether each is a table: lines that begin with ``|``, the second a rule."""
    runs: list[tuple[bool, list[str]]] = []
    for line in text.splitlines():
        barred = line.startswith("|")
        if not runs or runs[-1][0] != barred:
            runs.append((barred, []))
        runs[-1][1].append(line)
    return [(barred and len(own) > 1 and set(own[1]) <= set("|:- "), own) for barred, own in runs]


def cells(line: str) -> list[str]:
    """Of a row of a Markdown table.

    >>> cells(r"| a \\| b | 1.0 |")
    ['a | b', '1.0']
    """
    return [one.strip().replace("\\|", "|") for one in _CELL_END.split(line)[1:-1]]


def _table(lines: Sequence[str]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    head, rule, *rows = map(cells, lines)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, line in zip(head, rule, strict=False):
        right = line.endswith(":")
        table.add_column(Text(printable(name)), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table

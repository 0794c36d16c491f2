"""Options that several commands have, and how their texts are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from amdm.errors import InputError

ProfileOption = Annotated[str, typer.Option(help="auto, mini or paper")]
LimitOption = Annotated[
    int | None, typer.Option(help="layouts in all, rounded up to a multiple of 5, balanced over levels")
]
SeedsOption = Annotated[str, typer.Option(help="seeds, with commas")]
MethodsOption = Annotated[str | None, typer.Option(help="methods, with commas; the first is the target")]
BatchOption = Annotated[
    int | None, typer.Option(help="samples generated together; by default 16 for mini, 4 for paper, 4 of a function")
]
LayoutsOption = Annotated[str | None, typer.Option(help="a layout set by name, or a file")]
OutOption = Annotated[Path | None, typer.Option(help="run folder; by default one under runs/ named by the settings")]
ReportsOption = Annotated[Path, typer.Option(help="where tables and pictures go")]
WorkersOption = Annotated[
    int | None, typer.Option(help="processes; by default one a core, at most 4; 1 on CUDA and for full-size networks")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="field=value of every method, for example aggregation.s=5; repeatable")
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …; auto: cuda where there is one")]
DtypeOption = Annotated[str, typer.Option(help="of the networks: float32, bfloat16, float16; auto: by device")]
WeightsDirOption = Annotated[Path | None, typer.Option(help="folder of the public checkpoints")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="print all that would be fetched and run; do nothing")]
ShardOption = Annotated[
    str | None, typer.Option(help="i/n: only the i-th of n parts, in a folder of its own; see merge")
]
DetectorOption = Annotated[
    str | None, typer.Option(help="mini, grounded-sam or yolo; by default the run's, or that of its layouts")
]
RandomWeightsOption = Annotated[
    bool, typer.Option("--random-weights", help="full-size networks without checkpoints: what they say means nothing")
]
ForceOption = Annotated[bool, typer.Option("--force", help="go on with a run under other settings; recorded")]


def integers(text: str, field: str = "seeds") -> tuple[int, ...]:
    """``"0,1"`` → (0, 1). Raises InputError for anything else."""
    return tuple(int(value) for value in _numbers(text, int, field))


def numbers(text: str, field: str) -> tuple[float, ...]:
    """``"2,3.5"`` → (2.0, 3.5). Raises InputError for anything else."""
    return tuple(_numbers(text, float, field))


def shard_of(text: str | None) -> tuple[int, int] | None:
    """``"2/3"`` → (2, 3). Raises InputError for anything else."""
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise InputError(f"{text!r} is not of the form i/n, for example 1/4", field="shard")
    return int(parts[0]), int(parts[1])


def names(text: str) -> tuple[str, ...]:
    """``"a, b"`` → ("a", "b")."""
    return tuple(name.strip() for name in text.split(","))


def worker_count(asked: int | None, heavy: bool = False) -> int:
    """How many processes to use. heavy: one fills all cores and much of the memory, or the accelerator."""
    if asked is not None:
        if asked < 1:
            raise InputError(f"{asked} is not 1 or more", field="workers")
        return asked
    if heavy:
        return 1
    import torch

    return 1 if torch.cuda.is_available() else min(4, len(os.sched_getaffinity(0)))


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C inside says how to go on, and exits with 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise typer.Exit(130) from None


def use_weights_dir(chosen: Path | None) -> None:
    """Look for public checkpoints there, in this process and in its workers."""
    if chosen is not None:
        os.environ["AMDM_WEIGHTS_DIR"] = str(chosen)


def _numbers(text: str, kind: type[int] | type[float], field: str) -> list[float]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        what = "integers" if kind is int else "numbers"
        raise InputError(f"{text!r} is not a list of {what} with commas", field=field) from None


def where_results_are(folder: Path, reports: Path) -> str:
    """The table of a run, and the names of what was written."""
    report = reports / folder.resolve().name
    table = (report / "table1.md").read_text(encoding="utf-8")
    places = f"records and pictures: {folder}\ntables: {report}/table1.csv, table1.md\npictures: {report}/grid.png"
    return f"{table}\n{places}"

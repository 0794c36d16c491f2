"""Tables as files, and what a study hands to whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from amdm.io.files import make_folder, write_whole


class Written(NamedTuple):
    """page: Markdown. tables: for programs, by name; shares are fractions."""

    page: str
    tables: dict[str, pd.DataFrame]


def as_csv(table: pd.DataFrame, decimals: int = 6) -> bytes:
    """For a file."""
    return table.to_csv(index=False, float_format=f"%.{decimals}f").encode()


def write_table(path: Path, table: pd.DataFrame, decimals: int = 6) -> None:
    """Write a table as CSV; the folder is made where it is not there."""
    make_folder(path.parent)
    write_whole(path, as_csv(table, decimals))


def write_csv(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """``<name>.csv`` of each, numbers with six decimals."""
    for name, table in tables.items():
        write_table(folder / f"{name}.csv", table)


def write_study(folder: Path, name: str, page: str, tables: Mapping[str, pd.DataFrame]) -> Written:
    """``<name>.md``, and each table as CSV."""
    write_csv(folder, tables)
    write_whole(folder / f"{name}.md", page.encode())
    return Written(page, dict(tables))


def as_parquet(table: pd.DataFrame) -> bytes:
    """For a file."""
    content = BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


def write_parquet(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """``<name>.parquet`` of each."""
    for name, table in tables.items():
        write_whole(folder / f"{name}.parquet", as_parquet(table))

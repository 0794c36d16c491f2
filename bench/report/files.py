"""Tables as files, and what a study hands to whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from amdm.io.files import write_whole


class Written(NamedTuple):
    """page: Markdown. tables: for programs, by name; shares are fractions."""

    page: str
    tables: dict[str, pd.DataFrame]


def write_csv(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """``<name>.csv`` of each, numbers with six decimals."""
    for name, table in tables.items():
        write_whole(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6f").encode())


def write_parquet(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """``<name>.parquet`` of each."""
    for name, table in tables.items():
        content = BytesIO()
        table.to_parquet(content, index=False)
        write_whole(folder / f"{name}.parquet", content.getvalue())

"""What a command that made a run shows at its end."""

from __future__ import annotations

from pathlib import Path

import typer


def show_results(folder: Path, failures: int, reports: Path) -> None:
    """Table 1 and where everything lies; exit status 1 where samples failed."""
    report = reports / folder.name
    typer.echo((report / "table1.md").read_text(encoding="utf-8"))
    typer.echo(f"records and pictures: {folder}\ntables: {report}/table1.csv, table1.md\npictures: {report}/grid.png")
    if failures:
        typer.echo(f"error: {failures} samples failed; see {folder}/run.sqlite", err=True)
        raise typer.Exit(1)

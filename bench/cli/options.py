"""Options that several commands have, and how their texts are read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from typer import Argument, Exit, Option

from amdm.cli.options import DeviceOption as DeviceOption
from amdm.cli.options import DtypeOption as DtypeOption
from amdm.cli.options import ProfileOption as ProfileOption
from amdm.cli.options import WeightsDirOption as WeightsDirOption
from amdm.errors import InputError, printable
from amdm.io.files import make_folder, write_atomic
from amdm.output import tell
from bench.workers.processes import worker_count

if TYPE_CHECKING:
    from bench.engines.cluster import RayEngine
    from bench.layouts.layout_set import LayoutSet

Number = TypeVar("Number", int, float)
LimitOption = Annotated[
    int | None,
    Option(help="layouts in all, rounded up to a multiple of 5, balanced over levels; where no default is shown, all"),
]
SeedsOption = Annotated[str, Option(help="seeds, for example 0,1 or 0-9; coco-mig-bench: that benchmark's eight")]
MethodsOption = Annotated[
    str | None,
    Option(help="presets (`amdm presets` lists them), with commas; the others are compared with the first"),
]
BatchOption = Annotated[
    int | None, Option(help="samples generated together; by default 16 for mini, 4 for paper, 4 of a function")
]
LayoutsOption = Annotated[
    str | None,
    Option(help="a layout set by name, or a file; where no default is shown, mini, at full size coco-mig-amdm"),
]
OutOption = Annotated[
    str | None,
    Option(help="run folder, or its URL as s3://bucket/name; by default one under runs/ named by the settings"),
]
ReportsOption = Annotated[
    Path, Option(help="tables, figures and the page go to a folder in here that is named as the run")
]
WorkersOption = Annotated[
    int | None,
    Option(help="processes; default: one a core, at most 4, but 1 on CUDA and at full size; with ray: the most actors"),
]
SetOption = Annotated[
    list[str] | None, Option("--set", help="field=value of every method, for example aggregation.s=5; repeatable")
]
DryRunOption = Annotated[
    bool, Option("--dry-run", help="say what would be fetched and run; time two batches, and keep nothing")
]
ShardOption = Annotated[str | None, Option(help="i/n: only the i-th of n parts, in a folder of its own; see merge")]
DetectorOption = Annotated[
    str | None,
    Option(help="mini, grounded-sam or yolo; default: the run's, else mini for shapes and grounded-sam for all else"),
]
RandomWeightsOption = Annotated[
    bool, Option("--random-weights", help="full-size networks without checkpoints: what they say means nothing")
]
KeepOption = Annotated[
    Path, Option(help="what is measured is kept here, batch by batch: the same command goes on from there")
]
TrackOption = Annotated[
    str | None, Option(help="hand metrics, table, failures and settings to tensorboard, trackio or wandb")
]
ForceOption = Annotated[bool, Option("--force", help="go on with a run whose settings differ; its tables say so")]
AddressOption = Annotated[
    str | None, Option(help="of ray's head, host:port or auto; default: RAY_ADDRESS, else this machine alone")
]
RunArgument = Annotated[str, Argument(help="the run folder, or its URL as s3://bucket/name")]
RunsArgument = Annotated[list[str], Argument(help="run folders, or their URLs as s3://bucket/name")]


class EngineName(StrEnum):
    """Where batches are worked on."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    EngineName, Option(help="local: processes of this machine; ray: a cluster, which needs the extra ray")
]


def integers(text: str, field: str) -> tuple[int, ...]:
    """``"0,1"`` → (0, 1). Raises InputError for anything else."""
    return _numbers(text, int, "integers", field)


def numbers(text: str, field: str) -> tuple[float, ...]:
    """``"2,3.5"`` → (2.0, 3.5). Raises InputError for anything else."""
    return _numbers(text, float, "numbers", field)


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """The i-th of n parts. Raises InputError for what is not of that form.

    >>> parse_shard("2/3")
    (2, 3)
    """
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise InputError(f"{text!r} is not of the form i/n, for example 1/4", field="shard")
    return int(parts[0]), int(parts[1])


def engine_of(name: EngineName, address: str | None, workers: int | None) -> RayEngine | None:
    """The engine that is asked for, None for processes of this machine.

    Raises:
        InputError: ray is not installed; an address of no cluster; a number of workers that is none.
    """
    if name == EngineName.local:
        if address is not None:
            raise InputError("goes with --engine ray", field="address")
        return None
    from bench.engines.cluster import RayEngine

    return RayEngine(address, None if workers is None else worker_count(workers))


def names(text: str) -> tuple[str, ...]:
    """``"a, b"`` → ("a", "b")."""
    return tuple(name.strip() for name in text.split(","))


def say_notes(layout_set: LayoutSet) -> None:
    """On stderr, what was not read as it stands in the layout file, and what is not judged."""
    for note in layout_set.remarks:
        typer.echo(str(InputError(note, field=layout_set.name)), err=True)


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C inside says how to go on, and exits with 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise Exit(130) from None


def write_file(path: Path, content: bytes) -> None:
    """Write a file that an option names; its folder is made where it is not there.

    Whole or not at all, but through a link, and into a pipe or device: /dev/stdout must not become a file.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(content)
    else:
        write_atomic(make_folder(path.parent) / path.name, content)


def use_weights_dir(chosen: Path | None) -> None:
    """Look for public checkpoints there, in this process and in its workers."""
    if chosen is not None:
        os.environ["AMDM_WEIGHTS_DIR"] = str(chosen)


def _numbers(text: str, kind: Callable[[str], Number], what: str, field: str) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{text!r} is not a list of {what} with commas", field=field) from None


def tell_result(folder: Path, reports: Path, as_json: bool) -> None:
    """The table of a run, and last where everything lies and what is missing."""
    from bench.run.mirror import shown

    report, run = reports / folder.resolve().name, shown(folder)
    places = {
        "records": run / "run.sqlite" if isinstance(run, Path) else f"{run}/records",
        "pictures": run / "images" if isinstance(run, Path) else f"{run}/images",
        "tables": report / "table1.md",
        "page": report / "report.html",
        "grid": report / "grid.png",
    }
    missing = missing_of(report)
    table = (report / "table1.md").read_text(encoding="utf-8")
    lines = [
        f"records and pictures: {run}",
        f"tables: {report}/table1.csv, table1.md, table1.tex",
        f"page: {places['page']}",
        f"picture grid: {places['grid']}",
        f"missing: {'; '.join(missing) or 'nothing'}",
    ]
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    tell("\n".join([table, *lines]), {**summary, "run": run, "places": places, "missing": missing}, as_json)


def missing_of(report: Path) -> list[str]:
    """What a report's Table 1 lacks, a text a method."""
    with (report / "table1.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        f"{printable(row['method'])}: {int(row['expected']) - int(row['n'])} of {row['expected']} pictures"
        for row in rows
        if int(row["n"]) < int(row["expected"])
    ]

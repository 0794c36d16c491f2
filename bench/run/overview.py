"""The runs under a folder: what each is, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amdm.errors import InputError, printable
from bench.io.remote import RemoteFolder
from bench.job.plan import Plan
from bench.run.info import FILE, RunInfo
from bench.run.inventory import Inventory, SampleKey
from bench.run.mirror import reading
from bench.run.read import read_tables
from bench.run.schema import VERDICT_TABLES


@dataclass(frozen=True)
class RunOverview:
    """What a list says of a run.

    layouts: name of the set. count: of its layouts. judged, expected: samples; expected is None where the layouts are
    not there. date: when it was finished, else started; UTC. problem: why it cannot be read; then the rest is empty.
    """

    name: str
    layouts: str = ""
    count: int | None = None
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    status: str = ""
    judged: int | None = None
    expected: int | None = None
    failed: int | None = None
    date: str | None = None
    problem: str | None = None

    @classmethod
    def of(cls, folder: Path) -> RunOverview:
        """Of a run folder. Raises InputError where it is none, or its records cannot be read."""
        info = RunInfo.read(folder)
        job, progress = info.job, info.progress
        wanted: Mapping[SampleKey, int] | None = None
        count = job.limit
        try:
            plan = Plan.resolve(job)
            wanted, count = plan.samples, len(plan.layout_set)
        except InputError:  # the layouts are not there
            pass
        there = Inventory.of_tables(wanted or {}, *read_tables(folder, "samples", *VERDICT_TABLES))
        return cls(
            name=printable(folder.name),
            layouts=printable(job.layouts),
            count=count,
            methods=job.methods,
            seeds=job.seeds,
            status=info.status,
            judged=len(there.judged) if wanted is not None else len(there.complete & set(there.verdicts)),
            expected=None if wanted is None else len(wanted),
            failed=len(there.failed),
            date=progress.finished or progress.started,
        )


def runs_under(folder: Path | RemoteFolder) -> list[RunOverview]:
    """Of every run that lies directly in a folder or in a remote folder, by name; one that cannot be read says why.

    Raises:
        InputError: there is no such folder, or it is a run itself.
    """
    if isinstance(folder, RemoteFolder):
        return _remote_runs(folder)
    if (folder / FILE).exists():
        raise InputError("is a run itself; `runs show` describes one", file=folder)
    if not folder.is_dir():
        raise InputError("is not a folder", file=folder)
    found = []
    for path in sorted(folder.iterdir()):
        if not path.is_symlink() and (path / FILE).exists():
            try:
                found.append(RunOverview.of(path))
            except InputError as error:
                found.append(RunOverview(name=printable(path.name), problem=str(error)))
    return found


def _remote_runs(remote: RemoteFolder) -> list[RunOverview]:
    if remote.has(FILE):
        raise InputError("is a run itself; `runs show` describes one", file=remote)
    found = []
    for name in remote.folders():
        try:
            if (one := remote.below(name)).has(FILE):
                found.append(RunOverview.of(reading(one, pictures=False)))
        except InputError as error:
            found.append(RunOverview(name=printable(name), problem=str(error)))
    return found

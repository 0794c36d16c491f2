"""run.json: what a run was asked for, how far it is, and where it was made. Read and written here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from amdm.errors import InputError, instead
from amdm.io.files import read_json, write_atomic
from bench.detectors.registry import detector_for_label
from bench.job.growth import comparable
from bench.job.settings import RunSettings
from bench.job.spec import Job
from bench.layouts.layout_set import LayoutSet
from bench.provenance import Environment, Provenance, Recorded

FILE = "run.json"
MAX_INFO_BYTES = 16 * 2**20
Status = Literal["started", "complete", "failed samples", "gaps", "merging"]


class Change(Recorded):
    """A setting that is not what it was; before and now as JSON."""

    field: str
    before: str
    now: str

    def __str__(self) -> str:
        """As it stands under tables."""
        return f"{self.field}: was {self.before}, now {self.now}"


class Growth(Recorded):
    """A command that asked a run for more. at: UTC, ISO 8601. again: how many samples were made anew, in larger
    batches."""

    at: str
    command: str
    changes: tuple[Change, ...]
    again: int


class FullSizeJudge(Recorded):
    """A judge that was asked about a whole run, after it.

    of: what it judges. name: for readers. source: SHA-256 of its weights or its file; "" where it has none.
    choices: among how many styles it chose; None of a judge of actions.
    precision: HICO-DET's mean average precision of each method, (default, known object), fractions; None where nothing
    of a class is asked for, and of a judge of styles.
    asked: layout index → on how many of its interactions the judge gives verdicts, for every layout that the run had;
    None of a judge of styles.
    """

    of: Literal["action", "style"]
    name: str
    source: str = ""
    choices: int | None = None
    precision: dict[str, tuple[float | None, float | None]] | None = None
    asked: dict[int, int] | None = None


class Progress(Recorded):
    """What changes while a run goes on.

    started, finished: UTC, ISO 8601. workers: processes. judging_again: verdicts were dropped, and not all are there
    again. forced: settings under which it went on with ``--force``. grown: each time that it was asked for more.
    merged: the runs that this one was joined from. full_size: judges whose verdicts lie beside the run's own.
    taken_from: the folder of pictures that was measured, with counts of what lay there.
    """

    started: str | None = None
    finished: str | None = None
    workers: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    judging_again: bool = False
    forced: tuple[Change, ...] = ()
    grown: tuple[Growth, ...] = ()
    merged: tuple[MergedPart, ...] = ()
    full_size: tuple[FullSizeJudge, ...] = ()
    taken_from: dict[str, str | int] | None = None


class MergedPart(Recorded):
    """One of the runs that a run was joined from: what is its own. methods, seeds: None in what was written before."""

    folder: str
    shard: tuple[int, int] | None
    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    status: Status
    progress: Progress
    provenance: Provenance | None


class RunInfo(Recorded):
    """The content of run.json.

    settings: must not differ when the run goes on; progress and provenance may. provenance: of the command that worked
    on it last; None before any did.
    """

    format: Literal[1] = 1
    status: Status = "started"
    settings: RunSettings
    progress: Progress = Progress()
    provenance: Provenance | None = None

    @property
    def job(self) -> Job:
        """What was asked for."""
        return self.settings.job

    @property
    def detector_name(self) -> str:
        """By which its detector is loaded. Raises InputError where this version has none of that label."""
        return detector_for_label(self.settings.judge.name)

    @property
    def command(self) -> str:
        """The command that worked on the run last."""
        return "amdm-bench" if self.provenance is None else self.provenance.command

    @classmethod
    def read(cls, folder: Path) -> RunInfo:
        """Of a run folder, also as it was written before run.json had a format.

        Raises:
            InputError: naming the field that run.json lacks, or that is not what it must be.
        """
        path = folder / FILE
        if not path.exists():
            runs = [one.parent.name for one in folder.absolute().parent.glob(f"*/{FILE}")]
            others = f"; {instead(folder.name, sorted(runs))}" if runs else ""
            raise InputError(f"is absent: there is no run{others}", file=path)
        content = read_json(path, MAX_INFO_BYTES)
        if not isinstance(content, dict):
            raise InputError("is not a JSON object", file=path)
        flat = "format" not in content
        if not flat and content["format"] != 1:
            what = f"is {str(content['format'])[:80]!r}; this version of amdm reads 1"
            raise InputError(what, file=path, field="format")
        try:
            # As JSON again, whose lists pydantic takes for tuples.
            return cls.model_validate_json(json.dumps(_structured(content) if flat else content))
        except ValidationError as error:
            raise _first_fault(error, flat).within(file=path) from None

    def write(self, folder: Path) -> None:
        """Atomically."""
        write_atomic(folder / FILE, (self.model_dump_json(indent=2) + "\n").encode())

    def updated(self, status: Status | None = None, provenance: Provenance | None = None, **progress: Any) -> RunInfo:
        """With other values, those of ``progress`` by name."""
        changed = Progress(**{**dict(self.progress), **progress})
        new = {"status": status or self.status, "provenance": provenance or self.provenance, "progress": changed}
        return self.model_copy(update=new)


def differences(before: RunSettings, after: RunSettings, grows: bool = False) -> list[Change]:
    """The innermost difference within every setting that differs, by name; empty where they agree.

    grows: but for what a run that grows has more of.
    """
    old, new = comparable(before, after) if grows else (before.by_name(), after.by_name())
    return [_first_difference(name, old[name], new[name]) for name in sorted(old) if old[name] != new[name]]


def _first_difference(field: str, before: Any, now: Any) -> Change:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(set(before) | set(now)):
            if before.get(key) != now.get(key):
                return _first_difference(f"{field}.{key}", before.get(key), now.get(key))
    return Change(field=field, before=json.dumps(before), now=json.dumps(now))


def check_layouts(layout_set: LayoutSet, settings: RunSettings, folder: Path) -> None:
    """Raise InputError where the layouts are not those of the run in ``folder``, which has these settings."""
    if layout_set.hash != settings.layout_hash:
        what = "the layout set is not the one that was run"
        raise InputError(what, file=folder / FILE, field="settings.layout_hash")


def now() -> str:
    """UTC, as :class:`Progress` has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _first_fault(error: ValidationError, flat: bool) -> InputError:
    """flat: the file has no format, and its fields stand beside each other."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if flat:
        place = [part for part in place if part not in _PARTS]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause.within(field=".".join(place) or None)
    return InputError(first["msg"], field=".".join(place))


_PARTS = ("settings", "job", "environment", "progress", "provenance")


def _structured(flat: dict[str, Any]) -> dict[str, Any]:
    """The content of a run.json without a format, whose fields stand beside each other, as it would be written now."""

    def those(names: Iterable[str]) -> dict[str, Any]:
        return {name: flat[name] for name in names if flat.get(name) is not None}

    merged = flat.get("merged")
    progress = those(name for name in Progress.model_fields if name != "merged")
    if isinstance(merged, list):
        progress["merged"] = [_structured_part(part) if isinstance(part, dict) else part for part in merged]
    settings = {
        "job": those(field.name for field in fields(Job)),
        "method_settings": {},
        "environment": {
            "python": "",
            "packages": {},
            "sources": "",
            "device_name": "",
            **those(Environment.model_fields),
        },
        **those(("layout_hash", "judge", "weights", "method_settings", "styles")),
    }
    provenance = {"command": "amdm-bench", "machine": "", "git": None, "driver": None, **those(Provenance.model_fields)}
    return {**those(("status",)), "settings": settings, "progress": progress, "provenance": provenance}


def _structured_part(flat: dict[str, Any]) -> dict[str, Any]:
    """The same of one of the runs that a run was joined from."""
    found = _structured(flat)
    own: dict[str, Any] = {name: found[name] for name in ("status", "progress", "provenance") if name in found}
    return {"folder": flat.get("folder"), "shard": flat.get("shard"), **own}


Progress.model_rebuild()

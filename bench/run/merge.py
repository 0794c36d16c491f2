"""Runs of shards, seeds or methods joined into the run that one process would have made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from amdm.errors import InputError, printable
from amdm.io.files import write_atomic
from bench.job.batches import CEILING
from bench.job.plan import Plan
from bench.job.settings import RunSettings
from bench.provenance import provenance
from bench.run.images import picture_is
from bench.run.info import FILE, MergedPart, RunInfo, check_layouts, differences
from bench.run.inventory import Inventory, SampleKey, sample_keys
from bench.run.mirror import shown
from bench.run.read import read_table, read_tables
from bench.run.schema import JUDGED_TABLES, SAMPLE_COLUMNS, SAMPLE_KEY, VERDICT_TABLES
from bench.run.store import RunStore


class Merged(NamedTuple):
    """samples: how many the run holds. gaps: those that were asked of it, and are missing or not judged."""

    samples: int
    gaps: list[SampleKey]


@dataclass(frozen=True)
class _Part:
    """A run that is joined. tables: what it gives to the whole, by name."""

    folder: Path
    info: RunInfo
    tables: Mapping[str, pd.DataFrame]

    @classmethod
    def read(cls, folder: Path) -> _Part:
        return cls(folder, RunInfo.read(folder), _tables(folder))

    def only(self, keys: Set[SampleKey]) -> _Part:
        """Without what the records say of other samples."""
        tables = {}
        for name, table in self.tables.items():
            there = [key in keys for key in table[[*SAMPLE_KEY]].itertuples(index=False, name=None)]
            tables[name] = table[np.array(there, bool)].reset_index(drop=True)
        return replace(self, tables=tables)

    def inventory(self, wanted: Mapping[SampleKey, int]) -> Inventory:
        return Inventory.of_tables(wanted, self.tables["samples"], *(self.tables[name] for name in VERDICT_TABLES))


def merge_runs(out: Path, folders: Sequence[Path], allow_gaps: bool = False) -> Merged:
    """Make ``out`` of runs of the same layouts, which may differ in shards, seeds and methods.

    It is asked for all seeds of all methods of theirs, in the order in which they stand there. Everything is checked
    before anything is written, the pictures' digests too; stopped, the same call goes on.

    Raises:
        InputError: ``out`` is one of them, other settings differ (naming the field), two parts hold one sample, samples
            or verdicts are missing (without ``allow_gaps``), records are not of the job, a picture is not as recorded,
            or a folder is not a run.
    """
    for folder in folders:
        if folder.resolve() == out.resolve():
            raise InputError("is one of the runs to be joined: name a folder of its own", file=out)
    parts = [_Part.read(folder) for folder in folders]
    settings = _joined(parts)
    plan = Plan.resolve(settings.job)
    check_layouts(plan.layout_set, settings, folders[0])
    for part in parts:
        _check_own(part, plan)
    parts = _without_repeated_ceilings(parts, plan)
    there = [part.inventory(plan.samples) for part in parts]
    gaps = sorted(set(plan.samples).difference(*(one.judged | one.failed for one in there)))
    if gaps and not allow_gaps:
        raise InputError(f"{len(gaps)} samples are missing or not judged: {named(gaps)}; --allow-gaps", file=out)
    for part in parts:
        for _ in _pictures(part):
            pass
    with RunStore(out, settings) as store:
        _check_known(store.folder, parts)
        store.update("merging", provenance(), **_progress(parts))
        for part in parts:
            _take_over(store, part)
        store.update("gaps" if gaps else "failed samples" if store.failed_samples() else "complete")
    return Merged(sum(len(part.tables["samples"]) for part in parts), gaps)


def _joined(parts: Sequence[_Part]) -> RunSettings:
    """The settings of the whole. Raises InputError for a part that differs in more than shard, seeds and methods."""
    first = parts[0].info.settings
    for part in parts:
        own = part.info.settings.model_copy(update={"job": replace(part.info.job, shard=first.job.shard)})
        found = differences(first, own, grows=True) + [one for one in differences(first, own) if one.field == "limit"]
        if found:
            what = f"is {found[0].now}, and {found[0].before} in {parts[0].folder}"
            raise InputError(what, file=part.folder / FILE, field=found[0].field)
    every = [part.info.settings for part in parts]
    methods = tuple(dict.fromkeys(name for one in every for name in one.job.methods))
    seeds = tuple(dict.fromkeys(seed for one in every for seed in one.job.seeds))
    known = {name: value for one in every for name, value in one.method_settings.items()}
    update = {
        "job": replace(first.job, shard=None, methods=methods, seeds=seeds),
        "method_settings": {name: known[name] for name in methods if name in known},
    }
    return first.model_copy(update=update)


def _check_own(part: _Part, plan: Plan) -> None:
    """Raise InputError where a part holds samples that its job does not ask for, or verdicts on what it lacks."""
    there = part.inventory(replace(plan, job=part.info.job).samples)
    if there.unasked:
        what = f"holds {min(there.unasked)}, which the job does not ask for"
        raise InputError(what, file=part.folder, field="samples")
    if there.orphans:
        raise InputError(f"are of {min(there.orphans)}, which it does not hold", file=part.folder, field="verdicts")


def _without_repeated_ceilings(parts: Sequence[_Part], plan: Plan) -> list[_Part]:
    """Each sample in one part. Runs of other methods have the same true renderings, those of other seeds have more of
    them than one run has.

    Raises:
        InputError: two parts hold another sample, or a true rendering that is not the same.
    """
    owner: dict[SampleKey, tuple[Path, Any]] = {}
    found = []
    for part in parts:
        table, own = part.tables["samples"], set[SampleKey]()
        for row in _rows(table, (*SAMPLE_KEY, "sha256")):
            key, digest = (row["method"], row["layout_index"], row["seed"]), row["sha256"]
            if key not in owner:
                owner[key] = part.folder, digest
                own.add(key)
            elif key[0] != CEILING or owner[key] != (owner[key][0], digest) or owner[key][0] == part.folder:
                raise InputError(f"{key} is also in {owner[key][0]}", file=part.folder, field="samples")
        found.append(part.only(own & plan.samples.keys()))
    return found


def named(gaps: Sequence[SampleKey]) -> str:
    """How many of which method and seed."""
    counts = Counter((method, seed) for method, _, seed in gaps)
    shown = [f"{count} of {method} with seed {seed}" for (method, seed), count in counts.most_common(5)]
    return ", ".join(shown) + (", …" if len(counts) > 5 else "")


def _take_over(store: RunStore, part: _Part) -> None:
    """Pictures, then all records in one transaction; nothing where an earlier merge left just these."""
    samples = part.tables["samples"]
    keys = samples[[*SAMPLE_KEY]].drop_duplicates()
    columns = {"samples": SAMPLE_COLUMNS, **JUDGED_TABLES}
    there = {name: table.merge(keys, on=[*SAMPLE_KEY]) for name, table in _tables(store.folder).items()}
    whole = sample_keys(samples) <= store.complete_samples() | store.failed_samples()
    if whole and all(_rows(there[name], columns[name]) == _rows(part.tables[name], columns[name]) for name in columns):
        return
    for name, content in _pictures(part):
        target = store.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, content)
    judged = {name: [tuple(row.values()) for row in _rows(part.tables[name], columns[name])] for name in JUDGED_TABLES}
    happened = _rows(read_table(part.folder, "events"), ("at", "what"))
    events = [f"{shown(part.folder)}, {one['at']}: {one['what']}" for one in happened]
    store.record(_rows(samples, SAMPLE_COLUMNS), judged, events)


def _check_known(out: Path, parts: Sequence[_Part]) -> None:
    """Raise InputError where an earlier merge of other parts left samples in ``out``."""
    held = (sample_keys(part.tables["samples"]) for part in parts)
    others = sorted(sample_keys(read_table(out, "samples")).difference(*held))
    if others:
        raise InputError(f"holds {others[0]}, which is in none of the parts", file=out, field="samples")


def _pictures(part: _Part) -> Iterator[tuple[str, bytes]]:
    """(name in the folder, content) of each picture. Raises InputError where one is not as recorded."""
    samples = part.tables["samples"]
    for row in samples[samples["status"] == "ok"].to_dict("records"):
        if not picture_is(part.folder, row["image"], row["sha256"]):  # nor one whose name leads out of the folder
            raise InputError("is not the picture that was recorded", file=part.folder, field=str(row["image"]))
        yield row["image"], (part.folder / row["image"]).read_bytes()


def _tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Of one state of the run, which may be at work."""
    names = ("samples", *JUDGED_TABLES)
    return dict(zip(names, read_tables(folder, *names), strict=True))


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """As plain values; what pandas calls NaN was NULL."""
    plain = table[list(columns)].astype(object)
    return [{str(k): value for k, value in row.items()} for row in plain.where(plain.notna(), None).to_dict("records")]


def _progress(parts: Sequence[_Part]) -> dict[str, Any]:
    own = [
        MergedPart(
            folder=printable(str(shown(part.folder))),
            shard=part.info.job.shard,
            methods=part.info.job.methods,
            seeds=part.info.job.seeds,
            status=part.info.status,
            progress=part.info.progress,
            provenance=part.info.provenance,
        )
        for part in parts
    ]
    progress = [part.info.progress for part in parts]
    return {
        "started": min((one.started for one in progress if one.started), default=None),
        "finished": max((one.finished for one in progress if one.finished), default=None),
        "workers": sum(one.workers or 0 for one in progress) or None,
        "merged": tuple(own),
        "forced": tuple(change for one in progress for change in one.forced),
    }

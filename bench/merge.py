"""Runs of shards joined into the run that one process would have made."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from amdm.errors import InputError
from amdm.files import write_whole
from bench.job import read_run
from bench.provenance import circumstances
from bench.store import (
    PROGRESS_FIELDS,
    SAMPLE_COLUMNS,
    VERDICT_COLUMNS,
    RunStore,
    first_difference,
    picture_is,
    read_run_info,
    read_table,
)

KEY = ["method", "layout_index", "seed"]
Key = tuple[str, int, int]
APART = {*PROGRESS_FIELDS, "shard"}
"""Fields of run.json in which the parts of a run may differ."""


def merge_runs(out: Path, parts: Sequence[Path], allow_gaps: bool = False) -> int:
    """Make ``out`` of the runs in ``parts``; returns how many samples it holds.

    Everything is checked before anything is written, the pictures' digests too; stopped, the same call goes on.

    Raises:
        InputError: settings differ (naming the field), two parts hold one sample, samples or verdicts are missing
            (without ``allow_gaps``), records are not of the job, a picture is not as recorded, or a folder is no run.
    """
    infos = [read_run_info(part) for part in parts]
    for part, info in zip(parts[1:], infos[1:], strict=True):
        for field in sorted((set(info) | set(infos[0])) - APART):
            if info.get(field) != infos[0].get(field):
                where, first, here = first_difference(field, infos[0].get(field), info.get(field))
                raise InputError(f"is {here}, and {first} in {parts[0]}", file=part / "run.json", field=where)
    samples = [read_table(part, "samples") for part in parts]
    verdicts = [read_table(part, "verdicts") for part in parts]
    _check_overlaps(parts, samples)
    gaps = _gaps(parts, samples, verdicts)
    if gaps and not allow_gaps:
        raise InputError(f"{len(gaps)} samples are missing or not judged, the first {gaps[0]}; --allow-gaps", file=out)
    for part, table in zip(parts, samples, strict=True):
        for _ in _pictures(part, table):
            pass
    shared = {field: value for field, value in infos[0].items() if field not in APART}
    with RunStore(out, {**shared, "shard": None}) as store:
        _check_known(store.folder, samples)
        store.update_info(**_progress(parts, infos), status="merging")
        for part, own, judged in zip(parts, samples, verdicts, strict=True):
            _take_over(store, part, own, judged)
        store.update_info(status="gaps" if gaps else "failed samples" if store.failed_samples() else "complete")
    return sum(map(len, samples))


def _take_over(store: RunStore, part: Path, samples: pd.DataFrame, verdicts: pd.DataFrame) -> None:
    """Pictures, then all records in one transaction; nothing where an earlier merge left just these."""
    keys = samples[KEY].drop_duplicates()
    there = [read_table(store.folder, name).merge(keys, on=KEY) for name in ("samples", "verdicts")]
    whole = _keys(samples) <= store.whole_samples() | store.failed_samples()
    if whole and there[0].equals(samples) and there[1].equals(verdicts):
        return
    for name, content in _pictures(part, samples):
        target = store.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    judged = [tuple(row[column] for column in VERDICT_COLUMNS) for row in _rows(verdicts, VERDICT_COLUMNS)]
    events = [f"{part}, {row['at']}: {row['what']}" for row in _rows(read_table(part, "events"), ("at", "what"))]
    store.record(_rows(samples, SAMPLE_COLUMNS), judged, events)


def _check_known(out: Path, samples: Sequence[pd.DataFrame]) -> None:
    """Raise InputError where an earlier merge of other parts left samples in ``out``."""
    others = sorted(_keys(read_table(out, "samples")).difference(*map(_keys, samples)))
    if others:
        raise InputError(f"holds {others[0]}, which is in none of the parts", file=out, field="samples")


def _check_overlaps(parts: Sequence[Path], samples: Sequence[pd.DataFrame]) -> None:
    owner: dict[Key, Path] = {}
    for part, table in zip(parts, samples, strict=True):
        for key in _keys(table):
            if key in owner:
                raise InputError(f"{key} is also in {owner[key]}", file=part, field="samples")
            owner[key] = part


def _gaps(parts: Sequence[Path], samples: Sequence[pd.DataFrame], verdicts: Sequence[pd.DataFrame]) -> list[Key]:
    """Samples of the whole job that no part holds, or that are whole and not judged, every instance of them.

    Raises:
        InputError: a part holds samples that the job does not ask for, or verdicts on samples that it does not hold.
    """
    job, facts = read_run(parts[0])
    whole = replace(job, shard=None)
    layout_set = whole.layout_set()
    if layout_set.hash != facts.layout_hash:
        raise InputError("the layout set is not the one that was run", file=parts[0] / "run.json", field="layout_hash")
    level = {(g.method, e.index, g.seed): e.level for g in whole.work(layout_set) for e in g.entries}
    lacking = set(level)
    for part, held, judged in zip(parts, samples, verdicts, strict=True):
        if strange := sorted(_keys(held) - set(level)):
            raise InputError(f"holds {strange[0]}, which the job does not ask for", file=part, field="samples")
        ok = _keys(held[held["status"] == "ok"])
        counts: dict[Any, int] = judged.groupby(KEY).size().to_dict()
        if strange := sorted(set(counts) - ok):
            raise InputError(f"are of {strange[0]}, which it does not hold", file=part, field="verdicts")
        lacking -= (_keys(held) - ok) | {key for key, count in counts.items() if count == level[key]}
    return sorted(lacking)


def _keys(table: pd.DataFrame) -> set[Key]:
    return set(zip(table["method"], table["layout_index"], table["seed"], strict=True))


def _pictures(part: Path, samples: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    """(name in the folder, content) of each picture. Raises InputError where one is not as recorded."""
    for row in samples[samples["status"] == "ok"].to_dict("records"):
        if not picture_is(part, row["image"], row["sha256"]):  # nor one whose name leads out of the folder
            raise InputError("is not the picture that was recorded", file=part, field=str(row["image"]))
        yield row["image"], (part / row["image"]).read_bytes()


def _rows(table: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """As plain values; what pandas calls NaN was NULL."""
    plain = table[list(columns)].astype(object)
    return [{str(k): value for k, value in row.items()} for row in plain.where(plain.notna(), None).to_dict("records")]


def _progress(parts: Sequence[Path], infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    own = [{"folder": str(part), **{k: info.get(k) for k in APART}} for part, info in zip(parts, infos, strict=True)]
    return {
        "started": min((str(info["started"]) for info in infos if info.get("started")), default=None),
        "finished": max((str(info["finished"]) for info in infos if info.get("finished")), default=None),
        "command": shlex.join(["amdm-bench", *sys.argv[1:]]),
        "workers": sum(n for info in infos if isinstance(n := info.get("workers"), int) and 0 < n < 2**31),
        "merged": own,
        "forced": [asdict(change) for part in parts for change in read_run(part)[1].forced],
        **circumstances(),
    }

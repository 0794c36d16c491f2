"""Judges of full size, asked about a whole run after it; what they say is recorded beside the run's own verdicts.

Retrieval of styles compares all pictures of a method, and detections of interactions come from elsewhere: neither can
be a verdict on a batch, as those of the mini world are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.io.images import load_style
from bench.job.batches import CEILING
from bench.job.conditions import style_digests
from bench.job.plan import Plan
from bench.judges.clip_style import ClipStyleJudge
from bench.judges.hico_layouts import AskedPicture, LayoutDetections
from bench.judges.registry import judge_spec, load_judge
from bench.layouts.layout_set import Entry, LayoutSet
from bench.run.images import picture_is, read_stored
from bench.run.info import FullSizeJudge, RunInfo, check_layouts
from bench.run.read import read_table
from bench.run.schema import SAMPLE_KEY, STYLE_COLUMNS
from bench.run.store import RunStore


def retrieve_styles(run: Path, judge: ClipStyleJudge) -> pd.DataFrame:
    """Of every picture of a run: :data:`bench.run.schema.STYLE_COLUMNS`; ``attrs["styles"]``: of K.

    A style picture whose file names no style (:attr:`bench.layouts.layout_set.Entry.style_name`) is one of its own,
    by its name, behind its folder's where two have one name; files of one content are one style. Each reference picture
    of the layouts is read and encoded once. The pictures of one method are judged together.

    Raises:
        InputError: the layouts name no style pictures, or such of one style, which any picture would be likest; a style
            picture is not there, or no picture is.
    """
    layout_set = _layouts(run, RunInfo.read(run))
    named = _style_names(layout_set)
    asked = {entry.index: named[entry.style] for entry in layout_set.entries if entry.style}
    if not named:
        raise InputError(f"the layouts {layout_set.name} name no style pictures", file=run, field="style")
    styles = list(named.values())
    if len(set(styles)) == 1:
        what = f"the style pictures of the layouts {layout_set.name} are of one style, {styles[0]!r}; it takes two"
        raise InputError(what, file=run, field="style")
    references = judge.features(np.asarray(load_style(path)) for path in named)
    tables = []
    for _, own in _pictures(run, asked).groupby("method", sort=False):
        pictures = judge.features(read_stored(run, name) for name in own.image)
        read = judge.retrieve(pictures, references, styles)
        table = own[["method", "layout_index", "seed"]].assign(asked=own.layout_index.map(asked))
        table = table.assign(found=[one.found for one in read], margin=[one.margin for one in read])
        tables.append(table.assign(success=table.asked == table.found))
    if not tables:
        raise InputError("holds no picture of a layout with a style", file=run)
    found = pd.concat(tables, ignore_index=True)[list(STYLE_COLUMNS)]
    found.attrs["styles"] = len(set(styles))
    return found


def record_styles(run: Path, judge: ClipStyleJudge, weights: str) -> pd.DataFrame:
    """:func:`retrieve_styles`, put down for the run's tables, while nobody else changes the run.

    Nothing is put down where the run's own judge gives verdicts on styles: tables show those.

    Args:
        weights: SHA-256 of the tower's.

    Raises:
        InputError: as that function; another process works on the run.
    """
    info = RunInfo.read(run)
    with RunStore(run, info.settings) as store:
        found = retrieve_styles(run, judge)
        if not any(entry.asks_style for entry in _layouts(run, info).entries):
            rows = found.assign(success=found.success.astype(int), margin=found.margin.replace(np.inf, 0.0))
            label, choices = judge_spec("clip-style").label, found.attrs["styles"]
            said = FullSizeJudge(of="style", name=label, source=weights, choices=choices)
            store.record_full_size(said, rows.to_numpy(object).tolist())
    return found


def _style_names(layout_set: LayoutSet) -> dict[Path, str]:
    """Of each style picture: what its file says, or the shortest name that no other content has."""
    digests = style_digests(layout_set)
    told = {entry.style: (entry.style_name, digests[entry.key]) for entry in layout_set.entries if entry.style}
    names = {digest: name for name, digest in told.values() if name}
    plain = {digest: path for path, (_, digest) in reversed(told.items()) if digest not in names}
    root = commonpath([path.parent for path in told]) if told else ""
    forms = (
        {digest: path.relative_to(root).as_posix() for digest, path in plain.items()},
        {digest: f"{path.parent.name}/{path.stem}" for digest, path in plain.items()},
        {digest: path.stem for digest, path in plain.items()},
    )
    of_plain = forms[0]
    for form in forms[1:]:
        count = Counter([*form.values(), *names.values()])
        of_plain |= {digest: name for digest, name in form.items() if count[name] == 1}
    return {path: name or (names | of_plain)[digest] for path, (name, digest) in told.items()}


def record_actions(run: Path, detections: Path) -> int:
    """Judge the interactions that a run's layouts ask for by recorded detections, and put the verdicts down.

    Args:
        detections: see :meth:`bench.judges.hico_layouts.LayoutDetections.read`; pictures are called as in the run,
            ``images/<method>/<file>``.

    Returns:
        How many verdicts there are.

    Raises:
        InputError: the layouts ask for no interaction of a class of the detections, or for such as the run's own judge
            gives verdicts on; detections lack a picture; another process works on the run.
    """
    info = RunInfo.read(run)
    found: LayoutDetections = load_judge("hico-layouts", detections)
    layout_set = _layouts(run, info)
    if any(entry.actions for entry in layout_set.entries):
        what = f"the run's own judge gives verdicts on those of {layout_set.name}"
        raise InputError(what, file=run, field="interactions")
    asked = {
        entry.index: sum(found.class_of(entry, one) is not None for one in entry.pairs) for entry in layout_set.entries
    }
    known = {entry.index: entry for entry in layout_set.entries if asked[entry.index]}
    with RunStore(run, info.settings) as store:  # nobody else changes the run meanwhile
        rows, precision = _judged(run, (*info.job.methods, CEILING), found, known)
        if not rows:
            what = f"the layouts {layout_set.name} ask for no interaction of its classes, or no picture is there"
            raise InputError(what, file=detections, field="classes")
        label, source = judge_spec("hico-layouts").label, sha256(detections)
        judge = FullSizeJudge(of="action", name=label, source=source, precision=precision, asked=asked)
        store.record_full_size(judge, rows)
    return len(rows)


def _judged(
    run: Path, methods: Sequence[str], found: LayoutDetections, known: Mapping[int, Entry]
) -> tuple[list[tuple[Any, ...]], dict[str, tuple[float | None, float | None]]]:
    """Rows of :data:`bench.run.schema.INTERACTION_COLUMNS`, and the mean average precision of each method."""
    rows: list[tuple[Any, ...]] = []
    precision, there = {}, _pictures(run, known)
    for method in (one for one in methods if one in set(there.method)):
        samples = there[there.method == method].to_dict("records")
        pictures = [_asked(run, row["image"], known[row["layout_index"]]) for row in samples]
        precision[method] = found.precision(pictures)
        for row, picture, verdicts in zip(samples, pictures, found.judge(pictures), strict=True):
            for k, verdict in verdicts.items():
                subject, action, thing = picture.entry.pairs[k]
                rows.append((*(row[name] for name in SAMPLE_KEY), k, subject, thing, action, *verdict))
    return rows, precision


def _layouts(run: Path, info: RunInfo) -> LayoutSet:
    layout_set = Plan.resolve(info.job).layout_set
    check_layouts(layout_set, info.settings, run)
    return layout_set


def _pictures(run: Path, layouts: Collection[int]) -> pd.DataFrame:
    """The run's samples of these layouts that were not given up. Raises InputError for a picture not as recorded."""
    samples = read_table(run, "samples")
    found = samples[(samples.status == "ok") & samples.layout_index.isin(list(layouts))]
    for name, digest in zip(found.image, found.sha256, strict=True):
        if not picture_is(run, name, digest):
            raise InputError("is not the picture that was recorded", file=run, field=str(name))
    return found


def _asked(run: Path, image: str, entry: Entry) -> AskedPicture:
    height, width, _ = read_stored(run, image).shape
    return AskedPicture(image, (height, width), entry)

"""What is fuzzed: for each kind of input a strategy of cases, and what reads one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml
from hypothesis import strategies as st

from amdm.io.images import load_style
from amdm.layout import Layout, read_layout
from amdm.methods import Method, load_methods
from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings
from bench.benchmark import run_benchmark, score_run
from bench.cli.options import integers, numbers, parse_shard
from bench.job.plan import Plan
from bench.job.seeds import seeds_of
from bench.job.spec import Job
from bench.layouts.readers import read_layouts
from bench.provenance import Provenance
from bench.report.compare import compare_runs
from bench.report.write import write_report
from bench.run.export import export_images
from bench.run.merge import merge_runs
from bench.run.verify import verify_run
from tests.bench.fakes import BlobDetector, painter
from tests.bench.io.test_sqlite_safety import trap
from tests.fuzz.file_targets import file_targets
from tests.fuzz.hostile import changed, deep, mutated, scalars, texts, values
from tests.fuzz.target import BOXES, Target, as_json, pictures

LAYOUTS = {str(k): {"caption": f"a photo of {k}", "image_id": f"{k:06}", "segment": BOXES * (k + 1)} for k in range(3)}
MIGC = {
    f"caption {k}": {"a red bowl": [[0.1, 0.1, 0.4, 0.4]], "a blue cat": [[0, 0, 1, 1]], "coco_id": str(k)}
    for k in range(2)
}
ONE_LAYOUT = {
    "caption": "a person and a ball",
    "segment": BOXES,
    "interactions": [{"subject": BOXES[0], "action": "kicking", "object": BOXES[1]}],
    "style": "style.png",
}
TABLES = {
    "samples": ("method", "layout_index", "seed", "status", "error", "image", "sha256", "seconds"),
    "details": ("method", "peak_bytes", "peak_of", "pull_back"),
    "findings": ("method", "x1", "found_colour", "found_share"),
    "verdicts": ("method", "level", "iou", "attr", "label", "colour"),
}


MINI_METHODS = tuple(load_profile("mini").methods)
OVERRIDABLE = (
    *("aggregation.s", "aggregation.weights", "aggregation", "settings.all.num_inference_steps", "settings.migc"),
    *("settings", "models", "height", "noise_seed", "a.b.c"),
)
OVERRIDES = ("aggregation.s=2", "aggregation.weights=[0.4]", "settings.all.num_inference_steps=5", "noise_seed=null")
OPTIONS: tuple[Callable[[str], object], ...] = (
    seeds_of,
    partial(integers, field="steps"),
    partial(numbers, field="guidances"),
    parse_shard,
)
OPTION_TEXTS = st.from_regex(r"[0-9]{1,3}([,./e+-]{1,2}[0-9a]{1,3}){0,3}", fullmatch=True)


def targets(run: Path) -> dict[str, Target]:
    """By name; ``run`` is a whole run folder (:func:`small_job`)."""
    presets = {name: yaml.safe_load((files("amdm.presets") / f"{name}.yaml").read_text()) for name in ("mini", "paper")}
    info = json.loads((run / "run.json").read_text())
    method = load_profile("mini").method("interactdiffusion+migc").describe()
    plain, one_layout = as_json(LAYOUTS), as_json(ONE_LAYOUT)
    return {
        "layout sets": Target(changed(LAYOUTS).map(as_json) | mutated(plain) | deep | st.binary(), _layout_set, 16),
        "MIGC's layout sets": Target(changed(MIGC).map(_yaml) | mutated(_yaml(MIGC)), _migc_set, 8),
        "layouts": Target(
            st.tuples(st.sampled_from(MINI_METHODS), changed(ONE_LAYOUT).map(as_json) | mutated(one_layout) | deep),
            _layout,
            16,
        ),
        "presets": Target(st.sampled_from(sorted(presets)).flatmap(lambda name: changed(presets[name])), _preset, 12),
        "methods": Target(changed(method), _method, 8),
        "overrides": Target(st.lists(_overrides(), min_size=1, max_size=3), _override, 8),
        "options": Target(
            st.tuples(st.sampled_from(OPTIONS), texts | OPTION_TEXTS), lambda case, _: case[0](case[1]), 8
        ),
        "style images": Target(st.sampled_from(pictures()).flatmap(mutated) | st.binary(), _style, 14),
        "run.json": Target(st.tuples(_actions(), changed(info)), lambda case, folder: _run_info(run, case, folder), 3),
        "run.sqlite, bytes": Target(
            st.tuples(_actions(), mutated((run / "run.sqlite").read_bytes())),
            lambda case, folder: _run_bytes(run, case, folder),
            2,
        ),
        "run.sqlite, values": Target(
            st.tuples(_actions(), _statements()), lambda case, folder: _run_values(run, case, folder), 2
        ),
        "other files in runs": Target(
            st.tuples(_actions(), _other_files()), lambda case, folder: _run_with_others(run, case, folder), 3
        ),
        "whole runs": Target(changed(LAYOUTS).map(as_json), _whole_run, 2),
        **file_targets(run),
    }


PROVENANCE = Provenance(command="amdm-bench", machine="m", git=None, driver=None)


@contextmanager
def small_job(folder: Path) -> Iterator[Path]:
    """A run on five layouts by a painter in place of the models, which stands in for them while this is open."""
    with (
        patch("bench.generators.presets.make_generator", lambda job: painter()),
        patch("bench.detectors.load.make_detector", BlobDetector),
        # The guard measures the peak of the whole case.
        patch("bench.workers.memory._forget_resident_peak", lambda: False),
        patch("bench.run.merge.provenance", lambda: PROVENANCE),
        patch("bench.run.store.provenance", lambda: PROVENANCE),
    ):
        job = Job("mini", "mini", ("migc",), (0,), 8, 5)
        yield run_benchmark(Plan.resolve(job), folder / "run", folder / "reports", 1)[0]


def _layout_set(content: bytes, folder: Path) -> None:
    (folder / "set.json").write_bytes(content)
    read_layouts(folder / "set.json").subset(5)


def _whole_run(content: bytes, folder: Path) -> None:
    """Captions, ids and labels become file names, records, tables and captions of pictures."""
    (folder / "set.json").write_bytes(content)
    job = Job("mini", str(folder / "set.json"), ("migc",), (0,), 2, None, detector="mini")
    with patch("bench.generators.presets.make_generator", lambda job: _blank):
        run_benchmark(Plan.resolve(job), folder / "run", folder / "reports", 1)
    assert verify_run(folder / "run") == []


def _blank(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> SimpleNamespace:
    images = np.zeros((len(layouts), 64, 64, 3), np.uint8)
    return SimpleNamespace(images=images, finite=[True] * len(layouts), evaluations={})


def _migc_set(content: bytes, folder: Path) -> None:
    (folder / "set.txt").write_text("\n".join(MIGC))
    (folder / "set_anno.yaml").write_bytes(content)
    read_layouts(folder / "set.txt")


def _layout(case: tuple[str, bytes], folder: Path) -> None:
    """Read, and bound to the models of a method, which encode its phrases."""
    method, content = case
    (folder / "layout.json").write_bytes(content)
    layout, _ = read_layout(folder / "layout.json")
    _mini_methods()[method].bind([layout], ["key"])


@cache
def _mini_methods() -> dict[str, Method]:
    return load_methods("mini", MINI_METHODS)


def _preset(content: Any, folder: Path) -> None:
    Profile(content, folder / "preset.yaml")


def _method(content: Any, _: Path) -> None:
    MethodSettings.read(content)


def _override(changes: list[str], _: Path) -> None:
    load_profile("mini").method("interactdiffusion+migc", changes)


def _style(content: bytes, folder: Path) -> None:
    (folder / "style.png").write_bytes(content)
    assert load_style(folder / "style.png").mode == "RGB"


def _run_info(run: Path, case: tuple[str, Any], folder: Path) -> None:
    shutil.copytree(run, folder / "run")
    (folder / "run" / "run.json").write_bytes(as_json(case[1]))
    _use(case[0], folder)


def _run_bytes(run: Path, case: tuple[str, bytes], folder: Path) -> None:
    shutil.copytree(run, folder / "run")
    (folder / "run" / "run.sqlite").write_bytes(case[1])
    _use(case[0], folder)


def _run_values(run: Path, case: tuple[str, list[tuple[str, str, Any]]], folder: Path) -> None:
    shutil.copytree(run, folder / "run")
    with closing(sqlite3.connect(folder / "run" / "run.sqlite")) as database:
        for table, column, value in case[1]:
            try:
                database.execute(f"UPDATE {table} SET {column} = ? WHERE layout_index = 1", (value,))
            except (sqlite3.Error, OverflowError, UnicodeEncodeError):
                continue  # SQLite itself refuses it
        database.commit()
    _use(case[0], folder)


def _run_with_others(run: Path, case: tuple[str, list[tuple[str, str]]], folder: Path) -> None:
    """Traps: pipes, links and folders in place of files, and a journal that has SQLite delete a file."""
    shutil.copytree(run, folder / "run")
    victim = folder / "thesis.txt"
    victim.write_text("mine")
    for name, kind in case[1]:
        path = folder / "run" / name
        if path.is_file() or path.is_symlink():
            path.unlink()
        if path.parent.is_dir() and not path.exists():
            _make(path, kind, victim)
    try:
        _use(case[0], folder)
    finally:
        assert victim.read_text() == "mine"


def _make(path: Path, kind: str, victim: Path) -> None:
    database = path.parent / "run.sqlite"
    beside = database.with_name("run.sqlite-journal")
    if kind == "journal" and database.is_file() and database.stat().st_size > 100 and not beside.is_dir():
        trap(database, victim)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(victim)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.touch()


def _use(action: str, folder: Path) -> None:
    if action == "verify":
        verify_run(folder / "run")
    elif action == "table":
        write_report(folder / "run", folder / "reports")
    elif action == "merge":
        merge_runs(folder / "merged", [folder / "run"], allow_gaps=True)
    elif action == "compare":
        assert compare_runs(folder / "run", folder / "run").report
    elif action == "export":
        export_images(folder / "run", "migc", 0, folder / "exported")
    else:
        score_run(folder / "run", 1, again=True, force=True)


def _actions() -> st.SearchStrategy[str]:
    return st.sampled_from(("verify", "table", "merge", "score", "compare", "export"))


def _other_files() -> st.SearchStrategy[list[tuple[str, str]]]:
    names = (
        *(f"{name}.sqlite{end}" for name in ("run", "detections") for end in ("", "-journal", "-wal", "-shm")),
        *("lock", "run.json", "run.json.partial", "images/migc/000000_s0_0.png", "images/x", "images/migc/x.png", "x"),
    )
    kinds = ("journal", "pipe", "folder", "link", "loop", "empty")
    return st.lists(st.tuples(st.sampled_from(names), st.sampled_from(kinds)), min_size=1, max_size=3)


def _statements() -> st.SearchStrategy[list[tuple[str, str, Any]]]:
    column = st.sampled_from([(table, name) for table, names in TABLES.items() for name in names])
    return st.lists(st.tuples(column, scalars).map(lambda one: (*one[0], one[1])), min_size=1, max_size=3)


def _overrides() -> st.SearchStrategy[str]:
    names = st.sampled_from(OVERRIDABLE)
    written = values.map(lambda value: as_json(value).decode())
    near = st.sampled_from(OVERRIDES).flatmap(lambda one: mutated(one.encode())).map(lambda one: one.decode("latin-1"))
    return st.tuples(names | texts, written | texts).map("=".join) | st.sampled_from(OVERRIDES) | near


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")

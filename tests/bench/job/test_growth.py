"""A run that is asked for more ends as one that was asked for all of it in one go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from amdm.errors import InputError
from amdm.layout import Layout
from bench.benchmark import run_benchmark
from bench.detectors.detector import DetectionResult
from bench.job.batches import CEILING, groups, torn
from bench.job.growth import grown
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.layouts.named import load_layouts
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.store import RunStore
from bench.run.verify import verify_run
from tests.bench.fakes import BlobDetector, change_info, paint
from tests.torture.same import differences

BOTH = ("interactdiffusion", "migc")


def job(**fields: Any) -> Job:
    asked = {"profile": "mini", "layouts": "mini", "methods": ("migc",), "seeds": (0,), "batch": 4, "limit": 10}
    return Job(**asked | fields)  # type: ignore[arg-type]


class InCompany(BlobDetector):
    """Its boxes tell how many pictures it looked at together."""

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        found = super().find(images, categories)
        for one in found:
            for each in one.detections.values():
                each.boxes[:, 2] += len(images) / 100
        return found


def in_company(method: str, layouts: Sequence[Layout], keys: Sequence[str], **_: Any) -> SimpleNamespace:
    """Pictures that tell how many were painted together."""
    made = paint(method, layouts, keys)
    made.images[:, 0, 0] = len(layouts)
    return made


@pytest.fixture(autouse=True)
def nothing_is_the_same_in_other_batches(fake_networks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.generators.presets.make_generator", lambda job: in_company)
    monkeypatch.setattr("bench.detectors.load.make_detector", lambda options: InCompany())


def run(place: Path, *jobs: Job, tables: bool = False, **options: Any) -> int:
    """Do jobs in one folder under ``place``, the last one with tables; returns how many samples that one lacks."""
    for k, one in enumerate(jobs, 1):
        with nullcontext() if tables and k == len(jobs) else patch("bench.report.write.write_report"):
            failures = run_benchmark(Plan.resolve(one), place / "run", place / "reports", 1, **options)[1]
    return failures


def pictures(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.png")}


@pytest.mark.parametrize(
    ("steps", "again"),
    [
        ([{}, {"limit": 20}], 4),  # two of each method and of the ceiling
        ([{"limit": 5}, {}, {"limit": 25, "batch": 4}], 6),
        ([{}, {"seeds": (0, 1, 2)}], 0),
        ([{}, {"methods": BOTH}], 0),
        ([{}, {"limit": 15, "seeds": (0, 3), "methods": BOTH}], 4),
        ([{"batch": 5}, {"batch": 5, "limit": 15}], 0),
        ([{"shard": (2, 2)}, {"shard": (2, 2), "limit": 20}], 0),
    ],
)
def test_it_ends_as_a_run_made_in_one_go(tmp_path: Path, steps: list[dict[str, Any]], again: int) -> None:
    jobs = [job(**fields) for fields in steps]
    assert run(tmp_path / "grown", *jobs, tables=True) == 0 == run(tmp_path / "once", jobs[-1], tables=True)
    assert differences(tmp_path / "once", tmp_path / "grown") == []
    assert verify_run(tmp_path / "grown" / "run") == []
    info = RunInfo.read(tmp_path / "grown" / "run")
    assert len(info.progress.grown) == len(steps) - 1 and info.status == "complete"
    assert sum(one.again for one in info.progress.grown) == again


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    run(tmp_path, job(limit=20))
    before = pictures(tmp_path / "run")
    run(tmp_path, job(limit=20, methods=BOTH, seeds=(0, 1)))
    after = pictures(tmp_path / "run")
    assert len(after) == 20 * 4 + 20 and before.items() <= after.items()


def test_run_json_says_how_it_grew(tmp_path: Path) -> None:
    run(tmp_path, job(), job(limit=20, seeds=(0, 7)))
    info = RunInfo.read(tmp_path / "run")
    (one,) = info.progress.grown
    assert list(map(str, one.changes)) == ["limit: was 10, now 20", "seeds: was [0], now [0, 7]"]
    assert one.command.startswith("amdm-bench") and one.at and one.again == 4
    assert (info.job.limit, info.job.seeds) == (20, (0, 7))
    run(tmp_path, job(limit=20, seeds=(0, 7)))
    assert RunInfo.read(tmp_path / "run") == info


def test_a_smaller_request_computes_and_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, job(limit=20, seeds=(0, 1), methods=BOTH), tables=True)
    before, info = pictures(tmp_path / "run"), RunInfo.read(tmp_path / "run")
    table = (tmp_path / "reports" / "run" / "table1.md").read_bytes()
    capsys.readouterr()
    assert run(tmp_path, job(seeds=(1,)), tables=True) == 0
    shown = capsys.readouterr().out
    assert "holds more than was asked for: 20 layouts, seeds 0, 1, methods interactdiffusion, migc" in shown
    assert "complete: 10 images" in shown
    assert pictures(tmp_path / "run") == before and RunInfo.read(tmp_path / "run") == info
    assert (tmp_path / "reports" / "run" / "table1.md").read_bytes() == table


def test_of_a_run_that_was_stopped_a_smaller_request_makes_its_part(tmp_path: Path) -> None:
    run(tmp_path / "once", job(limit=20, methods=BOTH), tables=True)
    run(tmp_path / "part", job(methods=BOTH))
    with RunStore(tmp_path / "part" / "run", Plan.resolve(job(limit=20, methods=BOTH)).settings, grows=True) as store:
        store.grow(Plan.resolve(job(limit=20, methods=BOTH)).settings, ())  # and was killed
    with sqlite3.connect(tmp_path / "part" / "run" / "run.sqlite") as database:
        database.execute("DELETE FROM samples")
    assert run(tmp_path / "part", job(methods=("migc",))) == 0
    samples = read_table(tmp_path / "part" / "run", "samples")
    assert set(samples.method) == {"migc", CEILING} and len(samples[samples.method == "migc"]) == 12  # whole batches
    assert RunInfo.read(tmp_path / "part" / "run").status == "started"
    run(tmp_path / "part", job(limit=20, methods=BOTH), tables=True)
    assert differences(tmp_path / "once", tmp_path / "part") == []


@pytest.mark.parametrize("moment", ["info", "records", "verdicts"])
def test_a_kill_while_it_grows_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    run(tmp_path / "once", job(limit=20), tables=True)
    run(tmp_path / "grown", job())

    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> Iterator[None]:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        place = {"info": "bench.run.store.RunStore._save", "records": "bench.stages.generate.GroupWorker.__call__"}
        patched.setattr(place.get(moment, "bench.stages.verdicts.ScoringWorker.__call__"), kill)
        run(tmp_path / "grown", job(limit=20))
    held = RunInfo.read(tmp_path / "grown" / "run").job.limit
    assert held == (10 if moment == "info" else 20)
    assert len(read_table(tmp_path / "grown" / "run", "samples")) == (40 if moment == "verdicts" else 16)
    run(tmp_path / "grown", job(limit=20), tables=True)
    assert differences(tmp_path / "once", tmp_path / "grown") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": {"unet": "xyz"}}, 'weights.unet: was "xyz", now "abc"'),
        ({"sources": "other"}, 'sources: was "other", now'),
        ({"method_settings": {"migc": {"steps": 3}}}, r"method_settings\.migc\..*: was"),
        ({"batch": 8}, "batch: was 8, now 4; use another folder"),
    ],
)
def test_what_changes_a_sample_is_refused_and_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    run(tmp_path, job())
    change_info(tmp_path / "run", **change)
    before = (tmp_path / "run" / "run.json").read_bytes(), pictures(tmp_path)
    with pytest.raises(InputError, match=rf"run\.json: {message}"):
        run(tmp_path, job(limit=20))
    assert ((tmp_path / "run" / "run.json").read_bytes(), pictures(tmp_path)) == before


def test_force_grows_under_other_versions_and_says_so(tmp_path: Path) -> None:
    run(tmp_path, job())
    change_info(tmp_path / "run", sources="other")
    assert run(tmp_path, job(limit=20), force=True) == 0
    info = RunInfo.read(tmp_path / "run")
    assert info.job.limit == 20 and [one.field for one in info.progress.forced] == ["sources"]
    assert [change.field for change in info.progress.grown[0].changes] == ["limit"]
    assert len(read_table(tmp_path / "run", "samples")) == 40


def test_a_run_that_grew_meanwhile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, job())
    whole = Plan.resolve(job(limit=15))
    run(tmp_path, job(limit=20))
    monkeypatch.setattr(Plan, "grown_from", lambda self, held: whole)  # as it was read before the folder was locked
    with pytest.raises(InputError, match="another command made the run grow meanwhile"):
        run(tmp_path, job(limit=15))
    assert RunInfo.read(tmp_path / "run").job.limit == 20


def test_a_functions_run_grows_in_layouts_and_seeds_alone(tmp_path: Path) -> None:
    own = job(profile="external", methods=("mine",), generator="m:f", digest="12")
    options = {"source": lambda: in_company}
    run(tmp_path / "grown", own, replace(own, limit=20, seeds=(0, 1)), tables=True, **options)
    run(tmp_path / "once", replace(own, limit=20, seeds=(0, 1)), tables=True, **options)
    assert differences(tmp_path / "once", tmp_path / "grown") == []
    with pytest.raises(InputError, match=r'methods: was \["mine"\], now \["other"\]'):
        run(tmp_path / "grown", replace(own, methods=("other",)), **options)


def test_styles_of_more_layouts_are_no_other_setting(tmp_path: Path) -> None:
    asked = job(layouts="mini-combined", methods=("interactdiffusion+migc+ip-adapter",), limit=5)
    assert run(tmp_path, asked, replace(asked, limit=10)) == 0
    assert len(RunInfo.read(tmp_path / "run").settings.styles) == 10


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        ({}, {"limit": None}, {"limit": None}),
        ({"limit": None}, {}, {"limit": None}),
        ({"seeds": (4, 2)}, {"seeds": (0, 2, 4)}, {"seeds": (4, 2, 0)}),
        ({"seeds": (0, 1)}, {"seeds": (2, 3)}, {"seeds": (0, 1, 2, 3)}),
        ({"methods": BOTH}, {"methods": BOTH[::-1]}, {"methods": BOTH[::-1]}),
        ({"methods": BOTH[1:]}, {"methods": BOTH}, {"methods": BOTH}),
        ({"methods": BOTH}, {"methods": ("slerp",)}, {"methods": (*BOTH, "slerp")}),
        ({"limit": 20, "seeds": (0, 1)}, {"seeds": (1,)}, {"limit": 20, "seeds": (0, 1)}),
    ],
)
def test_a_run_holds_what_both_ask_for(held: dict[str, Any], asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert grown(job(**held), job(**asked)) == job(**expected)


@pytest.mark.parametrize(
    ("held", "asked", "message"),
    [
        ({"seeds": (0, 1)}, {"limit": 20}, "seeds: leaves out 1, which the run holds, while limit grows"),
        ({"limit": None}, {"seeds": (0, 1)}, "limit: leaves out layouts .the run has all., which .* while seeds grows"),
        ({"methods": BOTH}, {"seeds": (0, 1)}, "methods: leaves out interactdiffusion, .* while seeds grows"),
        ({"seeds": (0, 1)}, {"seeds": (2,), "limit": 20}, "seeds: leaves out 0, 1, .* while limit grows"),
    ],
)
def test_samples_that_nobody_asked_for_are_not_made(held: dict[str, Any], asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grown(job(**held), job(**asked))


@pytest.mark.parametrize("batch", [1, 3, 4, 16])
def test_at_most_the_last_batch_of_each_method_and_seed_is_made_again(batch: int) -> None:
    every = load_layouts("mini-hard")
    for limit in (5, 25, 40):
        before, after = (groups(every.subset(one), BOTH, (0, 1), batch) for one in (limit, 60))
        found = torn(before, after)
        assert len(found) == 4 * (limit % batch)
        kept = [group for group in before if group.samples()[0] not in found]
        assert all(group in after for group in kept)

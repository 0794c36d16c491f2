"""A job resolved once."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from amdm.errors import InputError
from bench.benchmark import run_benchmark
from bench.job.batches import CEILING
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.layouts import named, readers


def job(**fields: object) -> Job:
    return Job(
        **{"profile": "mini", "layouts": "mini", "methods": ("migc",), "seeds": (0, 1), "batch": 4, "limit": 5} | fields
    )  # type: ignore[arg-type]


def test_a_plan_knows_every_sample_with_its_number_of_instances() -> None:
    plan = Plan.resolve(job())
    assert set(plan.samples) == {("migc", e.index, s) for e in plan.layout_set.entries for s in (0, 1)} | {
        (CEILING, e.index, 0) for e in plan.layout_set.entries
    }
    assert all(plan.samples["migc", e.index, 1] == len(e.layout.instances) for e in plan.layout_set.entries)


def test_shards_share_the_work() -> None:
    parts = [Plan.resolve(job(batch=1, shard=(k, 3))) for k in (1, 2, 3)]
    assert sorted(key for part in parts for key in part.samples) == sorted(Plan.resolve(job(batch=1)).samples)


def test_a_layout_file_is_read_once_in_a_run(
    fake_networks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = tmp_path / "own.json", list[int]()
    readers.write_json(named.load_layouts("mini").subset(5), file)
    original = named.read_layouts
    monkeypatch.setattr(named, "read_layouts", lambda *arguments: read.append(1) or original(*arguments))
    run_benchmark(Plan.resolve(job(layouts=str(file), seeds=(0,))), tmp_path / "run", tmp_path / "reports", 1)
    assert len(read) == 1


def test_what_is_not_there_is_said_before_anything_is_made() -> None:
    with pytest.raises(InputError, match="maxi"):
        Plan.resolve(job(layouts="maxi"))


@pytest.mark.parametrize("field", ["batch", "limit"])
@pytest.mark.parametrize("value", [Fraction(5), Decimal("5"), 5.0, "5", True])
def test_counts_are_integers(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{field}: is .*; it must be an integer"):
        job(**{field: value})
    assert getattr(job(**{field: np.int64(5)}), field) == 5

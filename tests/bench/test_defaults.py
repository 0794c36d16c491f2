"""Jobs as commands and functions ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from amdm.errors import InputError
from bench.defaults import function_job, images_job, preset_job
from bench.job.plan import Plan


def test_what_is_left_open_is_the_profiles_and_what_is_given_is_kept() -> None:
    job = preset_job("paper", ["migc"], device="cpu")
    assert (job.layouts, job.batch, job.limit) == ("coco-mig-amdm", 4, None)
    given: dict[str, Any] = {"layouts": "mini-hard", "batch": 3, "seeds": (5,), "limit": 10, "shard": (1, 2)}
    job = preset_job("mini", ("migc",), **given)
    assert {name: getattr(job, name) for name in given} == given
    with pytest.raises(InputError, match="batch: 0 is not between"):
        preset_job("mini", ("migc",), batch=0)


def test_a_function_is_known_by_its_name_and_the_digest_of_its_file() -> None:
    job = function_job("tests.bench.fakes:painter", layouts="mini", arguments=["delay=0"], device="cpu")
    assert job.methods == ("painter",) and job.arguments == ("delay=0",) and len(job.digest or "") == 64
    with pytest.raises(InputError, match="generator-arg: unknown argument 'haste'"):
        function_job("tests.bench.fakes:painter", layouts="mini", arguments=["haste=1"])


@pytest.mark.parametrize("detector", [None, "mini"])
def test_the_usual_detector_is_the_same_job_whether_it_is_named_or_not(detector: str | None) -> None:
    for job in (preset_job("mini", ("migc",), limit=5, detector=detector), images_job("mini", "x", 0, detector)):
        plan = Plan.resolve(job)
        assert plan.job.detector is None and plan.detector.name == "mini"
    assert Plan.resolve(preset_job("mini", ("migc",), detector="grounded-sam")).job.detector == "grounded-sam"

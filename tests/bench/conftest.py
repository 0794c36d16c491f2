from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.job import Job, run_job
from tests.bench.fakes import BlobDetector, painter

JobRunner = Callable[..., Path]


@pytest.fixture
def fake_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main job with a painter in place of the models, and blobs in place of the judge; works in one process."""
    monkeypatch.setattr("bench.job.make_generator", lambda profile, methods: painter())
    monkeypatch.setattr("bench.job.make_judge", BlobDetector)
    monkeypatch.setattr("bench.job.judge_revision", lambda: "blobs")
    monkeypatch.setattr("bench.verify.judge_revision", lambda: "blobs")
    monkeypatch.setattr("amdm.methods.weight_digests", lambda profile: {"unet": "abc"})


@pytest.fixture
def run_fake_job(tmp_path: Path, fake_networks: None) -> JobRunner:
    """Do a job on a few layouts; returns the run folder. Tables lie under ``tmp_path / "reports"``."""

    def run(name: str = "run", **fields: Any) -> Path:
        settings: dict[str, Any] = {
            "profile": "mini",
            "layouts": "mini",
            "methods": ("interactdiffusion", "migc"),
            "seeds": (0,),
            "batch": 8,
            "limit": 25,
        }
        return run_job(Job(**settings | fields), tmp_path / name, tmp_path / "reports", workers=1)[0]

    return run

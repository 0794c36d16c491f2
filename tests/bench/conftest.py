from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.job import Job, run_job
from tests.bench.fakes import BlobDetector, painter

JobRunner = Callable[..., Path]


@pytest.fixture
def fake_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs in place of the judge; works in one process."""
    monkeypatch.setattr("bench.factories.make_judge", lambda options: BlobDetector())
    monkeypatch.setattr("bench.detection.registry.detector_revision", lambda options, rehash=False: "blobs")


@pytest.fixture
def fake_networks(fake_judge: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The main job with a painter in place of the models, and blobs in place of the judge; works in one process."""
    monkeypatch.setattr("bench.factories.make_generator", lambda job: painter())
    monkeypatch.setattr("amdm.loading.weight_digests", lambda profile: {"unet": "abc"})
    monkeypatch.setattr("bench.verify.hashed_weights", lambda profile: {"unet": "abc"})


@pytest.fixture(scope="session")
def done_jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[Job, Path]:
    """Jobs that some test did already, and where."""
    return {}


@pytest.fixture
def run_fake_job(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, fake_networks: None, done_jobs: dict[Job, Path]
) -> JobRunner:
    """Do a job on a few layouts; returns ``tmp_path / name``, a copy. Its tables: ``tmp_path / "reports" / name``."""

    def run(name: str = "run", **fields: Any) -> Path:
        settings: dict[str, Any] = {
            "profile": "mini",
            "layouts": "mini",
            "methods": ("interactdiffusion", "migc"),
            "seeds": (0,),
            "batch": 8,
            "limit": 25,
        }
        job = Job(**settings | fields)
        if job not in done_jobs:
            place = tmp_path_factory.mktemp("job")
            run_job(job, place / "run", place / "reports", workers=1)
            done_jobs[job] = place
        shutil.copytree(done_jobs[job] / "run", tmp_path / name)
        shutil.copytree(done_jobs[job] / "reports" / "run", tmp_path / "reports" / name)
        return tmp_path / name

    return run

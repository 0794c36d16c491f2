from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.benchmark import run_benchmark
from bench.job.plan import Plan
from bench.job.spec import Job
from tests.bench.cli.command import call
from tests.bench.fakes import BlobDetector, guessing_judges, painter
from tests.bench.s3 import Server, files, s3_server
from tests.conftest import lacks, needs

__all__ = ["call"]
JobRunner = Callable[..., Path]
CHROMIUM = shutil.which("chromium") or ""
CHROMIUM_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 120_000
"""Milliseconds that a machine with other work may take for what a page needs none of."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by playwright. Tests with it are skipped where one of them is absent."""
    needs("playwright", "browser")
    if not CHROMIUM:
        lacks("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        one = started.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGUMENTS), timeout=PATIENCE)
        yield one
        one.close()


def new_page(opener: Any, **options: Any) -> Any:
    """A page of a browser, or of one of its contexts, that is waited for with patience."""
    page = opener.new_page(**options)
    page.set_default_timeout(PATIENCE)
    return page


@pytest.fixture
def fake_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs in place of the judge; works in one process."""
    monkeypatch.setattr("bench.detectors.load.make_detector", lambda options: BlobDetector())
    monkeypatch.setattr("bench.detectors.registry.detector_revision", lambda options, rehash=False: "blobs")
    monkeypatch.setattr("bench.judges.conditions.load_judges", guessing_judges)
    monkeypatch.setattr("bench.judges.conditions.judge_revisions", lambda: {"action": "a", "style": "b"})


@pytest.fixture
def fake_networks(fake_judge: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The main job with a painter in place of the models, and blobs in place of the judge; works in one process."""
    monkeypatch.setattr("bench.generators.presets.make_generator", lambda job: painter())
    monkeypatch.setattr("amdm.profiles.weight_digests", lambda profile: {"unet": "abc"})
    monkeypatch.setattr("bench.run.verify.hashed_weights", lambda profile: {"unet": "abc"})


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
            run_benchmark(Plan.resolve(job), place / "run", place / "reports", workers=1)
            done_jobs[job] = place
        shutil.copytree(done_jobs[job] / "run", tmp_path / name)
        shutil.copytree(done_jobs[job] / "reports" / "run", tmp_path / "reports" / name)
        return tmp_path / name

    return run


@pytest.fixture(scope="session")
def one_server() -> Iterator[Server]:
    """A server of S3 for all tests of this process."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(one_server: Server, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Iterator[Server]:
    """A server of S3 with an empty bucket, which fsspec and commands find."""
    one_server.empty()
    for name, value in one_server.environment.items():
        monkeypatch.setenv(name, value)
    files(one_server)
    yield one_server


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the user's that is empty: as on another machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"

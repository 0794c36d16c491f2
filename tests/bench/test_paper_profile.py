"""The main job on the paper profile, small: public files in, a table out, digests of the files that were read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from amdm.checkpoints.catalogue import file_named
from amdm.checkpoints.convert import converted_place
from amdm.errors import InputError
from bench.benchmark import run_benchmark
from bench.dry_run import describe
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.verify import verify_run
from tests.amdm.checkpoints.test_assemble import folder, random, small  # noqa: F401

CHANGES = ("height=64", "width=64", "settings.all.num_inference_steps=2")


@pytest.mark.usefixtures("fake_judge")
def test_a_run_on_public_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(folder))
    job = Job("paper", "mini", ("migc", "migc@own"), (0,), 4, 5, CHANGES, detector="mini")
    run, failures = run_benchmark(Plan.resolve(job), tmp_path / "run", tmp_path / "reports", workers=1)
    assert failures == 0
    samples = read_table(run, "samples")
    assert (samples[samples.method != "ceiling"].status == "ok").sum() == 10
    settings = RunInfo.read(run).settings
    assert str(file_named("migc").place) in settings.weights
    assert str(file_named("grounding-dino-tiny-model.safetensors").place) not in settings.weights
    assert settings.method_settings["migc@own"]["settings"]["migc"]["scheduler"] == "euler"
    assert "Table 1" in (tmp_path / "reports" / "run" / "table1.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("fake_judge")
def test_a_converted_file_that_was_altered_is_noticed(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(folder))
    job = Job("paper", "mini", ("migc",), (0,), 4, 5, CHANGES, detector="mini")
    run, _ = run_benchmark(Plan.resolve(job), tmp_path / "run", tmp_path / "reports", workers=1)
    place = converted_place("migc")
    assert place in RunInfo.read(run).settings.weights
    assert verify_run(run) == []

    path = folder / place
    with safe_open(path, framework="pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    one, other = next(
        (a, b)
        for a in tensors
        for b in tensors
        if tensors[a].shape == tensors[b].shape and not tensors[a].equal(tensors[b])
    )
    before = path.stat()
    save_file({**tensors, one: tensors[other], other: tensors[one]}, path, about)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert verify_run(run) == [f"weights: {place} is not the file that was used"]
    os.utime(path)
    with pytest.raises(InputError, match="not what the conversion wrote"):
        run_benchmark(Plan.resolve(job), tmp_path / "run", tmp_path / "reports", workers=1)


def test_without_the_files_the_error_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(tmp_path / "none"))
    job = Job("paper", "mini", ("migc",), (0,), 4, 5, CHANGES, detector="mini")
    with pytest.raises(InputError, match="amdm weights fetch --profile paper"):
        run_benchmark(Plan.resolve(job), tmp_path / "run", tmp_path / "reports", workers=1)


def test_the_plan_counts_evaluations_and_names_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(tmp_path))
    lines = "\n".join(describe(Job("paper", "mini", ("interactdiffusion+migc@paper",), (0, 1), 4)))
    assert "interactdiffusion 50, migc 3" in lines and f"{800 * 2 * 53:,} guided evaluations" in lines
    fetched = "to be fetched (amdm weights fetch --profile paper)"
    assert f"migc: {fetched}: Google Drive 107fnQ9Fpu5K0UtqnHlKja7hqe-GwjAmz" in lines
    assert "judge: mini" in lines and "grounding-dino" not in lines
    assert "ip-adapter" not in lines  # no method of this job reads it
    monkeypatch.setenv("AMDM_COCO_MIG_DIR", str(tmp_path / "not there"))
    other = "\n".join(describe(Job("paper", "coco-mig-amdm", ("interactdiffusion+migc+ip-adapter",), (0,), 4)))
    assert "judge: grounded-sam" in other and "weights: sam-vit-huge-model.safetensors: to be fetched" in other
    assert "weights: ip-adapter-image-encoder" in other and "2.4 GiB" in other
    assert not list(tmp_path.iterdir())

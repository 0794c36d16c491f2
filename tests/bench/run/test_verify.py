from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from amdm.errors import InputError
from amdm.mini.weights_folder import WEIGHTS
from bench.detectors.detector import DetectorOptions
from bench.detectors.registry import detector_facts
from bench.run.info import RunInfo
from bench.run.verify import _is_possible, verify_run
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info


@pytest.fixture
def folder(run_fake_job: JobRunner) -> Path:
    return run_fake_job(limit=10)


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute(statement)


def test_a_whole_run_has_no_problems(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert verify_run(folder) == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_pictures_that_are_gone_changed_or_stray_are_found(folder: Path) -> None:
    first, second, *_ = sorted((folder / "images" / "migc").iterdir())
    first.unlink()
    second.write_bytes(b"other")
    (folder / "images" / "stray.png").write_bytes(b"")
    problems = verify_run(folder)
    assert f"images/migc/{first.name}: is absent" in problems
    assert f"images/migc/{second.name}: is not the picture that was recorded" in problems
    assert len(problems) == 3 and problems[-1].startswith("1 files under images/ that no record names")


def test_a_record_that_leads_out_of_the_folder_is_found(folder: Path) -> None:
    change(folder, "UPDATE samples SET image = '../../../../etc/passwd' WHERE method = 'migc' AND layout_index = 0")
    problems = verify_run(folder)
    assert "../../../../etc/passwd: is absent" in problems


def test_missing_records_and_verdicts_are_counted(folder: Path) -> None:
    change(folder, "DELETE FROM samples WHERE method = 'migc' AND layout_index = 0")
    change(folder, "DELETE FROM verdicts WHERE method = 'interactdiffusion' AND layout_index = 1")
    change(folder, "DELETE FROM verdicts WHERE method = 'ceiling' AND layout_index = 2 AND instance = 0")
    problems = "\n".join(verify_run(folder))
    assert "1 samples without a record: ('migc', 0, 0)" in problems
    assert "1 samples without verdicts: ('interactdiffusion', 1, 0)" in problems
    assert "1 verdicts on samples that are not there: ('migc', 0, 0)" in problems
    assert "1 samples with too few or too many verdicts: ('ceiling', 2, 0)" in problems


@pytest.mark.parametrize(
    ("change_", "found"),
    [
        ("success = 1, attr = 1, iou = 1, miou = 1, detected = 1", "verdicts that no measurement gives"),
        ("attr = 1 - attr WHERE success = 1", "verdicts that no measurement gives"),
        ("miou = 0.25 WHERE miou > 0.25", "verdicts that no measurement gives"),
        ("level = 2 WHERE level = 6", "verdicts that do not say what their layout says"),
        ("colour = 'red' WHERE colour <> 'red'", "verdicts that do not say what their layout says"),
        ("box_area = box_area / 2", "verdicts that do not say what their layout says"),
    ],
)
def test_forged_verdicts_are_found(folder: Path, change_: str, found: str) -> None:
    change(folder, f"UPDATE verdicts SET {change_}")
    assert any(found in problem for problem in verify_run(folder))


def test_other_weights_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.run.verify.hashed_weights", lambda profile: {"unet": "xyz"})
    monkeypatch.setattr("bench.detectors.registry.detector_revision", lambda options, rehash: "newer")
    assert verify_run(folder) == [
        "weights: the detector's are not those that were used",
        "weights: unet is not the file that was used",
    ]


def test_missing_provenance_is_found(folder: Path) -> None:
    change_info(folder, sources="", packages={}, started=None, machine="", finished=None, workers=None)
    missing = ("packages", "sources", "machine", "started", "finished", "workers")
    assert verify_run(folder) == [f"run.json: does not say {field}" for field in missing]
    change_info(folder, provenance=None)
    assert "run.json: does not say machine" in verify_run(folder)


def test_a_forced_run_is_pointed_out(folder: Path) -> None:
    change_info(folder, forced=[{"field": "batch", "before": "1", "now": "2"}])
    problem = "run.json: the run went on under other settings (--force); see its field progress.forced"
    assert verify_run(folder) == [problem]


def test_terminal_escapes_in_records_are_shown_not_sent(folder: Path) -> None:
    change(
        folder, "UPDATE samples SET image = 'images/' || char(27) || '[2J' WHERE method = 'migc' AND layout_index = 0"
    )
    problems = verify_run(folder)
    assert "images/\\x1b[2J: is absent" in problems and all(problem.isprintable() for problem in problems)


def test_weights_are_hashed_and_not_believed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of equal shape change places; the record beside them, size and time of change stay."""
    monkeypatch.undo()
    own = Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))
    facts = detector_facts(DetectorOptions()).model_dump()
    change_info(folder, weights=json.loads((own / "digests.json").read_text()), judge=facts)
    monkeypatch.setenv("AMDM_MINI_WEIGHTS_DIR", str(own))
    assert verify_run(folder) == []
    path = own / "unet.safetensors"
    before, tensors = path.stat(), load_file(path)
    one, other = "conv_norm_out.weight", "conv_norm_out.bias"
    assert tensors[one].shape == tensors[other].shape and not tensors[one].equal(tensors[other])
    save_file(tensors | {one: tensors[other], other: tensors[one]}, path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert verify_run(folder) == ["weights: unet is not the file that was used"]


def test_settings_that_are_not_what_methods_give_are_found(folder: Path) -> None:
    judge = RunInfo.read(folder).settings.judge.model_dump()
    change_info(folder, method_settings={}, judge={**judge, "thresholds": {"score": 0.5}})
    problems = verify_run(folder)
    assert "run.json: method_settings are not those of this version" in problems
    assert "run.json: thresholds are not those of this version" in problems
    change_info(folder, device="meta")
    with pytest.raises(InputError, match=r"run\.json: settings\.job\.device: 'meta' is neither cpu nor cuda"):
        verify_run(folder)
    change_info(folder, device="cpu", limit=-(10**300))
    with pytest.raises(InputError, match=r"run\.json: settings\.job\.limit: -1"):
        verify_run(folder)


PLACED = {
    "colour": "red",
    "detected": 1,
    "iou": 0.75,
    "success": 1,
    "attr": 1,
    "miou": 0.75,
    "mask_px": 10,
    "hit_px": 2,
}
ELSEWHERE = {**PLACED, "iou": 0.25, "success": 0, "attr": 0, "miou": 0.25, "mask_px": None, "hit_px": None}


@pytest.mark.parametrize(
    ("verdict", "changes", "possible"),
    [
        (PLACED, {}, True),
        (PLACED, {"hit_px": 1, "attr": 0, "miou": 0.0}, True),  # a tenth of the mask is too little
        (PLACED, {"hit_px": 1}, False),
        (PLACED, {"mask_px": 0, "hit_px": 0, "attr": 0, "miou": 0.0}, True),
        (PLACED, {"detected": 0}, False),
        (PLACED, {"success": 0}, False),
        (PLACED, {"attr": 0}, False),
        (PLACED, {"miou": 0.0}, False),
        (PLACED, {"mask_px": None, "hit_px": None, "attr": 0, "miou": 0.0}, False),
        (PLACED, {"colour": ""}, False),
        (PLACED, {"colour": "", "mask_px": None, "hit_px": None}, True),
        (ELSEWHERE, {}, True),
        (ELSEWHERE, {"detected": 0}, False),
        (ELSEWHERE, {"detected": 0, "iou": 0.0, "miou": 0.0}, True),
        (ELSEWHERE, {"iou": 0.0, "miou": 0.0}, True),  # found, and nowhere near
        (ELSEWHERE, {"mask_px": 10, "hit_px": 0}, False),
        (ELSEWHERE, {"miou": 0.0}, False),
    ],
)
def test_which_verdicts_a_measurement_can_give(
    verdict: dict[str, Any], changes: dict[str, Any], possible: bool
) -> None:
    assert _is_possible({**verdict, **changes}) is possible

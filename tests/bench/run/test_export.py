from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.run.export import export_images
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info


def test_pictures_have_the_names_that_the_official_evaluator_reads(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder, to = run_fake_job(), tmp_path / "official"
    assert export_images(folder, "migc", 0, to) == 25
    found = sorted(to.iterdir())
    assert len(found) == 25 and found[0].name == "000000_0.png"
    assert found[0].read_bytes() == (folder / "images" / "migc" / "000000_s0_0.png").read_bytes()
    with pytest.raises(InputError, match="official: is there already, and is not empty"):
        export_images(folder, "migc", 0, to)


def test_an_unknown_method_or_seed_is_said_with_those_there_are(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    with pytest.raises(InputError, match=r"method: unknown method 'mgic'; did you mean migc\? there are: .*migc"):
        export_images(folder, "mgic", 0, tmp_path / "official")
    with pytest.raises(InputError, match=r"has no pictures of 'migc' with seed 3; it has seeds 0$"):
        export_images(folder, "migc", 3, tmp_path / "official")


def test_what_is_stopped_leaves_nothing_and_can_be_done_again(
    run_fake_job: JobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, to, copied = run_fake_job(), tmp_path / "official", []

    def full(source: Path, target: Path) -> Any:
        copied.append(target)
        if len(copied) == 3:
            raise OSError(28, "No space left on device")
        return copy(source, target)

    copy = shutil.copyfile
    monkeypatch.setattr("bench.run.export.shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        export_images(folder, "migc", 0, to)
    assert not to.exists()
    assert export_images(folder, "migc", 0, to) == 25 and len(list(to.iterdir())) == 25
    assert {path.name for path in tmp_path.iterdir()} == {"run", "reports", "official"}


def test_pictures_of_other_layouts_are_not_named_by_these(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    change_info(folder, layout_hash="0" * 64)
    with pytest.raises(InputError, match="the layout set is not the one that was run"):
        export_images(folder, "migc", 0, tmp_path / "official")
    assert not (tmp_path / "official").exists()


@pytest.mark.parametrize("change", ["image = NULL", "sha256 = NULL, image = NULL", "image = '../x'", "sha256 = 'abc'"])
def test_a_picture_that_is_not_as_recorded_is_refused(run_fake_job: JobRunner, tmp_path: Path, change: str) -> None:
    folder = run_fake_job()
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute(f"UPDATE samples SET {change} WHERE layout_index = 3")
    with pytest.raises(InputError, match="is not the picture that was recorded"):
        export_images(folder, "migc", 0, tmp_path / "official")
    assert not (tmp_path / "official").exists()

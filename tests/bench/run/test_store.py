from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amdm.errors import InputError
from bench.job.settings import RunSettings
from bench.provenance import Git, Provenance
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.store import RunStore
from tests.bench.fakes import run_settings

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = run_settings()
IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def add(store: RunStore, method: str = "m", index: int = 0, seed: int = 0, **fields: Any) -> dict[str, Any]:
    image, digest = store.add_image(method, "000001", str(index), seed, IMAGE)
    sample = {"method": method, "layout_index": index, "seed": seed, "status": "ok", "attempts": 1}
    sample |= {"image": image, "sha256": digest, **fields}
    store.record(samples=[sample])
    return sample


def verdict(method: str, index: int, seed: int = 0, instance: int = 0) -> tuple[Any, ...]:
    return (method, index, seed, instance, "a red circle", "red", "circle", 2, 0.1, 1, 0.9, 1, 1, 0.9, 10, 9)


def test_a_run_is_a_folder_with_a_rollback_journal(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store)
    assert RunInfo.read(tmp_path / "run") == RunInfo(settings=SETTINGS)
    database = sqlite3.connect(tmp_path / "run" / "run.sqlite")
    assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    database.close()
    table = read_table(tmp_path / "run", "samples")
    assert table.method.tolist() == ["m"] and (tmp_path / "run" / table.image[0]).is_file()


def test_pictures_are_stored_without_loss_and_by_official_name(tmp_path: Path) -> None:
    from bench.run.images import read_image

    with RunStore(tmp_path / "run", SETTINGS) as store:
        path, _ = store.add_image("a+b@paper", "000123", "17", 3, IMAGE)
    assert path == "images/a+b@paper/000123_s3_17.png"
    np.testing.assert_array_equal(read_image(tmp_path / "run" / path), IMAGE)


@pytest.mark.parametrize("change", ["remove", "tear", "replace"])
def test_a_sample_is_whole_only_with_its_picture(tmp_path: Path, change: str) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        path = store.folder / add(store, index=0)["image"]
        add(store, index=1)
        assert store.complete_samples() == {("m", 0, 0), ("m", 1, 0)}
        if change == "remove":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-7] if change == "tear" else b"other")
        assert store.complete_samples() == {("m", 1, 0)}


def test_a_new_picture_loses_the_verdicts_of_the_old(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store, index=0)
        add(store, index=1)
        store.record(judged={"verdicts": [verdict("m", 0), verdict("m", 1)]})
        add(store, index=0)
        assert set(store.verdict_counts()) == {("m", 1, 0)}


def test_a_batch_is_recorded_whole_or_not_at_all(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        good = {"method": "m", "layout_index": 0, "seed": 0, "status": "failed", "attempts": 3, "error": "x"}
        with pytest.raises(sqlite3.IntegrityError):
            store.record(samples=[good, {**good, "layout_index": 1, "status": None}])
        assert store.failed_samples() == set()


KILLED_IN_A_TRANSACTION = """
import os, sys
from pathlib import Path
from bench.run.store import RunStore
from tests.bench.fakes import run_settings
database = RunStore(Path(sys.argv[1]), run_settings())._database
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN IMMEDIATE")
database.execute("UPDATE samples SET error = 'half done ' || error")
os._exit(9)
"""


def test_a_run_that_was_killed_in_a_transaction_is_read_without_it_and_left_as_it_is(tmp_path: Path) -> None:
    sample = {"method": "m", "seed": 0, "status": "failed", "attempts": 3, "error": "x" * 3000}
    with RunStore(tmp_path / "run", SETTINGS) as store:
        store.record(samples=[{**sample, "layout_index": k} for k in range(400)])
    done = subprocess.run([sys.executable, "-c", KILLED_IN_A_TRANSACTION, str(tmp_path / "run")], cwd=ROOT)
    left = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert done.returncode == 9 and left["run.sqlite-journal"]
    assert set(read_table(tmp_path / "run", "samples").error) == {"x" * 3000}
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == left
    with RunStore(tmp_path / "run", SETTINGS) as store:
        assert len(store.failed_samples()) == 400


def test_other_settings_stop_and_name_the_field(tmp_path: Path) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    changed = run_settings(weights={"unet": "abc", "vae": "xyz"})
    with pytest.raises(InputError, match=r'run\.json: weights\.vae: was "def", now "xyz"'):
        RunStore(tmp_path / "run", changed)
    assert RunInfo.read(tmp_path / "run").settings.weights["vae"] == "def"
    RunStore(tmp_path / "run", SETTINGS).__exit__()  # the refused process left no lock


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (run_settings(batch=2), "batch"),
        (run_settings(weights={"unet": "abc"}), "weights.vae"),
        (run_settings(styles={"0": "ab"}), "styles.0"),
    ],
)
def test_a_setting_that_is_other_new_or_gone_is_a_difference(tmp_path: Path, changed: RunSettings, field: str) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    with pytest.raises(InputError, match=f"run.json: {field}: was"):
        RunStore(tmp_path / "run", changed)


def test_force_goes_on_and_is_recorded(tmp_path: Path) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    RunStore(tmp_path / "run", run_settings(layout_hash="34"), force=True).__exit__()
    info = RunInfo.read(tmp_path / "run")
    assert info.settings.layout_hash == "34"
    assert list(map(str, info.progress.forced)) == ['layout_hash: was "12", now "34"']


def test_a_new_commit_with_the_same_sources_is_no_difference(tmp_path: Path) -> None:
    for commit in ("a", "b"):
        with RunStore(tmp_path / "run", SETTINGS) as store:
            own = Provenance(command="x", machine="m", git=Git(commit=commit, dirty=False), driver=None)
            store.update(provenance=own)
    assert RunInfo.read(tmp_path / "run").provenance == own


def test_a_second_writer_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from bench.run.store import RunStore; "
        "from tests.bench.fakes import run_settings; RunStore(Path(sys.argv[1]), run_settings())"
    )
    with RunStore(tmp_path / "run", SETTINGS):
        found = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "run")], capture_output=True, text=True, cwd=ROOT
        )
        assert found.returncode != 0 and f"is in use by process {os.getpid()} on " in found.stderr
    RunStore(tmp_path / "run", SETTINGS).__exit__()


def test_a_place_that_cannot_be_locked_is_not_said_to_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("amdm.io.lock.fcntl.flock", refuse)
    with pytest.raises(InputError, match="run: cannot be locked: No locks available"):
        RunStore(tmp_path / "run", SETTINGS)


def test_a_run_that_was_removed_while_its_lock_was_waited_for_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()

    def remove(*_: object) -> None:  # as `runs rm` does before it lets the lock go
        for path in (tmp_path / "run").iterdir():
            path.unlink()

    monkeypatch.setattr("amdm.io.lock.fcntl.flock", remove)
    with pytest.raises(InputError, match="run: cannot be locked: another process removes the folder"):
        RunStore(tmp_path / "run", SETTINGS)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_database_that_is_held_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    monkeypatch.setattr("bench.run.schema.BUSY_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "run.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="is held by another process"):
            read_table(tmp_path / "run", "samples")


def test_a_transaction_is_on_disk_when_it_ends(tmp_path: Path) -> None:
    """What a power failure would show, and no test can: SQLite flushes."""
    with RunStore(tmp_path / "run", SETTINGS) as store:
        assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_run_without_details_is_read_and_goes_on(tmp_path: Path) -> None:
    """Made before they were recorded."""
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store, index=0, peak_bytes=1000, peak_of="process")
        store.record(judged={"verdicts": [verdict("m", 0)]})
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as database:
        database.execute("DROP TABLE details")
    before = (tmp_path / "run" / "run.sqlite").read_bytes()
    table = read_table(tmp_path / "run", "samples")
    assert table.method.tolist() == ["m"] and table[["peak_bytes", "peak_of", "pull_back"]].isna().all(axis=None)
    assert len(read_table(tmp_path / "run", "verdicts")) == 1
    assert (tmp_path / "run" / "run.sqlite").read_bytes() == before  # reading wrote nothing
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store, index=1, peak_bytes=2000, peak_of="gpu", pull_back="{}")
    table = read_table(tmp_path / "run", "samples").set_index("layout_index")
    assert table.peak_bytes.isna().tolist() == [True, False] and table.loc[1, "peak_bytes"] == 2000
    assert table.loc[1, ["peak_of", "pull_back"]].tolist() == ["gpu", "{}"]


@pytest.mark.parametrize("fields", [{"peak_bytes": -1}, {"peak_of": "disk"}, {"peak_bytes": "much"}])
def test_details_out_of_range_are_not_stored(tmp_path: Path, fields: dict[str, Any]) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        with pytest.raises(sqlite3.IntegrityError):
            add(store, **fields)
        assert store.complete_samples() == set()


def test_a_sample_that_is_made_again_has_its_own_details(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store, peak_bytes=1000, peak_of="process", pull_back="{}")
        add(store)
    assert read_table(tmp_path / "run", "samples")[["peak_bytes", "pull_back"]].isna().all(axis=None)


def finding(method: str, index: int, box: float | None = 0.5, colour: str | None = "blue") -> tuple[Any, ...]:
    return (method, index, 0, 0, box, box, box, box, colour, None)


def test_findings_go_with_the_verdicts_that_they_explain(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        for index in (0, 1):
            add(store, index=index)
        findings = [finding("m", 0), finding("m", 1, None, None)]
        store.record(judged={"verdicts": [verdict("m", 0), verdict("m", 1)], "findings": findings})
        table = read_table(store.folder, "findings")
        assert table.found_colour.fillna("").tolist() == ["blue", ""] and table.x1.isna().tolist() == [False, True]
        add(store, index=0)
        assert read_table(store.folder, "findings").layout_index.tolist() == [1]
        store.delete_verdicts()
        assert read_table(store.folder, "findings").empty
        with pytest.raises(sqlite3.IntegrityError):
            store.record(judged={"findings": [finding("m", 0, 1.5)]})


def test_a_run_without_findings_is_read_and_goes_on(tmp_path: Path) -> None:
    """Made before they were recorded."""
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store)
        store.record(judged={"verdicts": [verdict("m", 0)]})
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as database:
        database.execute("DROP TABLE findings")
    assert read_table(tmp_path / "run", "findings").empty and len(read_table(tmp_path / "run", "verdicts")) == 1
    with RunStore(tmp_path / "run", SETTINGS) as store:
        store.record(judged={"findings": [finding("m", 0)]})
    assert len(read_table(tmp_path / "run", "findings")) == 1


def test_a_reader_may_take_a_while(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        assert store._database.execute("PRAGMA busy_timeout").fetchone() == (60_000,)

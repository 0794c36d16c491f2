from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from amdm.errors import InputError
from bench.io.remote import RemoteFolder
from bench.run.images import picture_name
from bench.run.mirror import writing
from bench.run.remove import look_at, remove_run
from bench.run.store import RunStore
from tests.bench.conftest import JobRunner
from tests.bench.run.test_store import SETTINGS, add


@pytest.fixture
def run(run_fake_job: JobRunner) -> Path:
    return run_fake_job(limit=10)


def test_a_run_goes_whole(run: Path, tmp_path: Path) -> None:
    (run / "errors.txt").write_text("Traceback")
    picture = next((run / "images" / "migc").iterdir())
    picture.with_name(f"{picture.name}.partial").write_bytes(b"half")
    found = look_at(run)
    assert found.others == [] and len([path for path in found.own if path.suffix == ".png"]) == 30
    assert found.bytes == sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    remove_run(run)
    assert not run.exists() and (tmp_path / "reports" / "run" / "table1.md").is_file()


def test_what_is_not_the_runs_stays(run: Path) -> None:
    mine = [
        run / "thesis.txt",
        run / "images" / "mine.png",
        run / "images" / "migc" / "mine.png",
        run / "a" / "b" / "c",
    ]
    mine[3].parent.mkdir(parents=True)
    for path in mine:
        path.write_bytes(b"mine")
    assert remove_run(run).others == sorted(str(path.relative_to(run)) for path in mine)
    assert sorted(path for path in run.rglob("*") if path.is_file()) == sorted(mine)


def test_pictures_of_a_process_that_was_killed_go_too(run: Path) -> None:
    with sqlite3.connect(run / "run.sqlite") as database:
        database.execute("DELETE FROM samples")
    remove_run(run)
    assert not run.exists()


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 4096, b""])
def test_a_run_whose_database_is_damaged_goes_with_its_pictures(run: Path, content: bytes) -> None:
    (run / "run.sqlite").write_bytes(content)
    (run / "images" / "migc" / "mine.png").write_bytes(b"mine")
    assert len([path for path in look_at(run).own if path.suffix == ".png"]) == 30
    assert remove_run(run).others == ["images/migc/mine.png"]
    assert [path for path in run.rglob("*") if path.is_file()] == [run / "images" / "migc" / "mine.png"]


def test_a_damaged_run_that_is_worked_on_stays(run: Path) -> None:
    (run / "run.sqlite").write_bytes(b"no database")
    with (run / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="is in use by"):
            remove_run(run)
    (run / "run.sqlite").unlink()
    (run / "run.sqlite").symlink_to(run.parent / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        remove_run(run)
    assert len(list(run.rglob("*.png"))) == 30


def test_links_are_never_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(InputError, match="link: is a link; name the folder itself"):
        remove_run(tmp_path / "link")
    elsewhere = tmp_path / "elsewhere"
    (run / "images" / "migc").rename(elsewhere)
    (run / "images" / "migc").symlink_to(elsewhere)
    with pytest.raises(InputError, match="is a link"):
        remove_run(run)
    (run / "images" / "migc").unlink()
    (run / "images" / "migc").mkdir()
    for path in elsewhere.iterdir():
        (run / "images" / "migc" / path.name).symlink_to(path)
    assert len(remove_run(run).others) == 10
    assert len(list(elsewhere.iterdir())) == 10 and (run / "images" / "migc").is_dir()


def test_records_cannot_name_files_of_others(run: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    names = [
        "../thesis.txt",
        str(tmp_path / "thesis.txt"),
        "images/../../thesis.txt",
        "images/migc/../../../thesis.txt",
    ]
    with sqlite3.connect(run / "run.sqlite") as database:
        for index, name in enumerate(names):
            row = ("UPDATE samples SET image = ? WHERE method = 'migc' AND layout_index = ?", (name, index))
            database.execute(*row)
    remove_run(run)
    assert not run.exists() and (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("content", [None, "{}", "nothing"])
def test_what_is_no_run_is_refused_whole(run: Path, content: str | None) -> None:
    (run / "run.json").unlink()
    if content is not None:
        (run / "run.json").write_text(content)
    before = sorted(run.rglob("*"))
    with pytest.raises(InputError, match=r"run\.json"):
        remove_run(run)
    assert sorted(run.rglob("*")) == before


def test_a_run_that_is_worked_on_stays(run: Path) -> None:
    with (run / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="is in use by"):
            remove_run(run)
    assert len(list(run.rglob("*.png"))) == 30


def test_a_removal_that_was_stopped_goes_on(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Path.unlink, list[int]()

    def unlink(self: Path, **options: Any) -> None:
        calls.append(1)
        if len(calls) > 32:  # the database is gone
            raise KeyboardInterrupt
        real(self, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", unlink)
        remove_run(run)
    assert (run / "run.json").exists() and not list(run.rglob("*.png"))
    remove_run(run)
    assert not run.exists()


def test_names_are_those_that_pictures_are_written_under(run: Path) -> None:
    assert (run / picture_name("migc", "", "0", 0)).name == "%_s0_0.png"


@pytest.fixture
def remote(tmp_path: Path, own_cache: Path) -> Iterator[RemoteFolder]:
    """A run in a remote folder, which holds what is not the run's, too."""
    one = RemoteFolder.parse(f"memory://{tmp_path.name}/run")
    with writing(one) as folder, RunStore(folder, SETTINGS) as store:
        for k in range(3):
            add(store, index=k)
            store._mirror.flush()  # type: ignore[union-attr]
    one.write("thesis.txt", b"mine")
    one.write("images/m/mine.png", b"mine")
    yield one
    fsspec.filesystem("memory").store.clear()


def test_a_run_in_a_remote_folder_goes_and_what_is_not_its_own_stays(remote: RemoteFolder, own_cache: Path) -> None:
    found = look_at(remote)
    assert found.others == ["images/m/mine.png", "thesis.txt"] and list(map(str, found.own))[-1] == "run.json"
    assert found.bytes == sum(size for name, size in remote.sizes().items() if name not in found.others)
    assert remove_run(remote) == found
    assert list(remote.sizes()) == found.others and not list(own_cache.rglob("*.sqlite"))
    with pytest.raises(InputError, match="there is no run"):
        remove_run(remote)


@pytest.mark.parametrize("left", range(1, 7))
def test_removing_in_a_remote_folder_goes_on_where_it_was_stopped(remote: RemoteFolder, left: int) -> None:
    found = look_at(remote)
    remote.remove(list(map(str, found.own))[:-left])
    remove_run(remote)
    assert list(remote.sizes()) == found.others


def test_records_in_a_remote_folder_name_nothing_but_pictures(remote: RemoteFolder) -> None:
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        add(store, index=7)
        store._database.execute("UPDATE samples SET image = 'thesis.txt' WHERE layout_index = 7")
        store._changed([("m", 7, 0)])
    assert "thesis.txt" in remove_run(remote).others and remote.has("thesis.txt")


def test_a_run_in_a_remote_folder_that_is_in_use_stays(remote: RemoteFolder) -> None:
    with writing(remote), pytest.raises(InputError, match="in use"):
        remove_run(remote)
    assert remote.has("run.json")

"""A run in a remote folder: whole there at every moment, gone on with by any machine, written by one at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from amdm.errors import InputError
from bench.io.remote import RemoteFolder
from bench.run.info import FullSizeJudge, RunInfo
from bench.run.mirror import reading, shown, writing
from bench.run.read import read_table
from bench.run.store import RunStore
from tests.bench.run.test_store import SETTINGS, add, verdict

SAMPLE = ("m", 0, 0)
NAMES = ("samples", "verdicts", "events")


@pytest.fixture
def remote(tmp_path: Path, own_cache: Path) -> Iterator[RemoteFolder]:
    """In this process's memory."""
    yield RemoteFolder.parse(f"memory://{tmp_path.name}/run")
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record is handed over."""
    monkeypatch.setattr("bench.run.mirror.SECONDS", 0.0)


def elsewhere(own_cache: Path) -> None:
    """Go on as on another machine."""
    shutil.rmtree(own_cache)


def indices(folder: Path, table: str = "samples") -> list[int]:
    return [int(one) for one in read_table(folder, table)["layout_index"]]


def make(remote: RemoteFolder, count: int) -> None:
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        for k in range(count):
            add(store, index=k)
        store.record(judged={"verdicts": [verdict("m", 0)]}, events=["so it was"])
        store.end("complete")


def test_a_run_is_the_same_on_another_machine(remote: RemoteFolder, own_cache: Path) -> None:
    make(remote, 3)
    assert set(remote.sizes()) == {
        *("run.json", "records/part-000001.parquet"),
        *(f"images/m/000001_s0_{k}.png" for k in range(3)),
    }
    here = reading(remote)
    tables = [read_table(here, name) for name in NAMES]
    elsewhere(own_cache)
    there = reading(remote)
    assert all(one.equals(read_table(there, name)) for one, name in zip(tables, NAMES, strict=True))
    assert there.name == "run" and shown(there) == remote
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        assert store.complete_samples() == {("m", k, 0) for k in range(3)} and store.info.status == "complete"
        add(store, index=7)
    assert indices(reading(remote)) == [0, 1, 2, 7]


def test_a_run_made_anew_elsewhere_takes_the_place_of_what_this_machine_holds(
    remote: RemoteFolder, own_cache: Path, tmp_path: Path
) -> None:
    make(remote, 3)
    reading(remote)
    kept = tmp_path / "this-machine"
    own_cache.rename(kept)
    fsspec.filesystem("memory").store.clear()
    make(remote, 1)  # as many parts
    info = RunInfo.read(reading(remote)).updated(started="2026-11-28T12:00:00+00:00")  # as every run says of itself
    remote.write("run.json", info.model_dump_json().encode())
    shutil.rmtree(own_cache)
    kept.rename(own_cache)
    assert indices(reading(remote)) == [0]
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        assert store.complete_samples() == {SAMPLE}
    elsewhere(own_cache)
    assert indices(reading(remote)) == [0]


def test_tracebacks_of_the_machine_before_stay(remote: RemoteFolder, own_cache: Path) -> None:
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        (folder / "errors.txt").write_text("the first\n")
        add(store, index=0)
    elsewhere(own_cache)
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        with (folder / "errors.txt").open("a") as file:
            file.write("the second\n")
        add(store, index=1)
    assert remote.read("errors.txt", 100) == b"the first\nthe second\n"


def test_what_another_machine_said_of_the_run_is_read_though_it_added_no_part(
    remote: RemoteFolder, own_cache: Path
) -> None:
    make(remote, 1)
    reading(remote)
    content = remote.read("run.json", 2**20)
    remote.write("run.json", content.replace(b'"complete"', b'"failed samples"'))
    assert RunInfo.read(reading(remote)).status == "failed samples"


@pytest.mark.usefixtures("at_once")
def test_what_is_dropped_or_made_again_is_so_everywhere(remote: RemoteFolder, own_cache: Path) -> None:
    make(remote, 3)
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        store.delete_verdicts()
        add(store, index=1, attempts=2)
    elsewhere(own_cache)
    folder = reading(remote)
    assert indices(folder, "verdicts") == [] and list(read_table(folder, "samples")["attempts"]) == [1, 2, 1]


def test_a_picture_is_at_the_place_before_its_record_anywhere(
    remote: RemoteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        add(store, index=0)
        with monkeypatch.context() as broken:
            broken.setattr(RemoteFolder, "send", lambda self, files: (_ for _ in ()).throw(ConnectionError("gone")))
            with pytest.raises(ConnectionError):
                add(store, index=1)
        assert store.complete_samples() == {SAMPLE}
    assert indices(reading(remote)) == [0]


def test_what_was_not_handed_over_stays_on_this_machine(
    remote: RemoteFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(remote, 1)
    with monkeypatch.context() as broken, pytest.raises(ConnectionError):  # noqa: SIM117
        with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
            add(store, index=1)
            broken.setattr(RemoteFolder, "create", lambda *_: (_ for _ in ()).throw(ConnectionError("gone")))
    assert "records/part-000002.parquet" not in remote.sizes()
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        assert len(store.complete_samples()) == 2  # nothing is made again here
    elsewhere(own_cache)
    assert indices(reading(remote)) == [0, 1]


def test_a_kill_loses_on_another_machine_what_was_not_handed_over(remote: RemoteFolder, own_cache: Path) -> None:
    make(remote, 1)
    opened = writing(remote)
    folder = opened.__enter__()
    store = RunStore(folder, SETTINGS)
    add(store, index=1)  # and it is gone: nothing was closed
    elsewhere(own_cache)
    with writing(remote) as again, RunStore(again, SETTINGS) as other:
        assert other.complete_samples() == {SAMPLE}
        add(other, index=1)
    assert indices(reading(remote)) == [0, 1]


def test_a_picture_that_was_removed_or_torn_at_the_place_is_not_counted(remote: RemoteFolder) -> None:
    make(remote, 3)
    files = fsspec.filesystem("memory")
    root = remote.url.removeprefix("memory:/")
    files.rm(f"{root}/images/m/000001_s0_0.png")
    files.pipe_file(f"{root}/images/m/000001_s0_1.png", b"torn")
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        assert store.complete_samples() == {("m", 2, 0)}


def test_two_commands_at_one_place(remote: RemoteFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(remote, 1)
    with writing(remote) as folder, RunStore(folder, SETTINGS) as first:
        with pytest.raises(InputError, match=f"{remote}: is in use by process"), writing(remote):
            pass
        assert indices(reading(remote)) == [0]  # who reads sees what the first has
        monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache / "other"))
        with writing(remote) as other, RunStore(other, SETTINGS) as second:
            add(second, index=5)
        add(first, index=6)
        with pytest.raises(InputError, match=f"{remote}: another command has written there meanwhile"):
            first.update("complete")
        with pytest.raises(InputError, match="another command"):
            first.__exit__()
        first._mirror = None
    assert indices(reading(remote)) == [0, 5]
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache))
    assert indices(reading(remote)) == [0, 5]  # the first one's records are behind the remote folder's


def test_what_is_no_run_is_left_alone(remote: RemoteFolder) -> None:
    with pytest.raises(InputError, match=r"run/run.json: is absent: there is no run"):
        reading(remote)
    remote.write("thesis.txt", b"mine")
    with pytest.raises(InputError, match=r"holds thesis.txt and no run.json"), writing(remote):
        pass
    assert list(remote.sizes()) == ["thesis.txt"]


@pytest.mark.usefixtures("at_once")
def test_a_part_that_lacks_or_is_damaged_is_named(remote: RemoteFolder) -> None:
    make(remote, 3)
    part = remote.read("records/part-000002.parquet", 2**20)
    remote.write("records/part-000002.parquet", part[:-10])
    with pytest.raises(InputError, match=r"run/records/part-000002.parquet: is not a part"):
        reading(remote)
    files = fsspec.filesystem("memory")
    files.rm(f"{remote.url.removeprefix('memory:/')}/records/part-000002.parquet")
    with pytest.raises(InputError, match=r"part-000002.parquet: is absent, and later parts are there"):
        reading(remote)


def test_names_at_the_place_lead_nowhere_else(remote: RemoteFolder, tmp_path: Path) -> None:
    make(remote, 1)
    files = fsspec.filesystem("memory")
    for name in ("images/../../escape.png", "images/m/../../../escape.png", "images/../escape.png", "escape.png"):
        files.store[f"{remote.url.removeprefix('memory:/')}/{name}"] = files.store[next(iter(files.store))]
    folder = reading(remote)
    assert not list(tmp_path.rglob("escape.png")) and indices(folder) == [0]


def test_verdicts_of_full_size_are_handed_over(remote: RemoteFolder, own_cache: Path) -> None:
    make(remote, 2)
    judge = FullSizeJudge(of="style", name="clip", source="0" * 64, choices=2)
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        store.record_full_size(judge, [("m", 0, 0, "a", "b", 0, 0.5)])
        store.record_full_size(judge, [("m", 1, 0, "a", "a", 1, 0.5)])
    elsewhere(own_cache)
    folder = reading(remote)
    assert indices(folder, "full_size_styles") == [1] and RunInfo.read(folder).progress.full_size == (judge,)


def test_what_run_json_could_not_say_there_it_says_when_the_command_is_run_again(
    remote: RemoteFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken, pytest.raises(ConnectionError):  # noqa: SIM117
        with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
            add(store, index=0)
            broken.setattr(RemoteFolder, "write", lambda *_: (_ for _ in ()).throw(ConnectionError("gone")))
            store.end("complete")
    with writing(remote) as folder, RunStore(folder, SETTINGS) as store:
        assert store.info.status == "complete"  # there is nothing to do
    elsewhere(own_cache)
    assert RunInfo.read(reading(remote)).status == "complete"

"""A run at a place: whole there at every moment, gone on with by any machine, written by one at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from amdm.errors import InputError
from bench.place import Place
from bench.run.info import FullSizeJudge, RunInfo
from bench.run.mirror import reading, shown, writing
from bench.run.read import read_table
from bench.run.store import RunStore
from tests.bench.run.test_store import SETTINGS, add, verdict

SAMPLE = ("m", 0, 0)
NAMES = ("samples", "verdicts", "events")


@pytest.fixture
def place(tmp_path: Path, own_cache: Path) -> Iterator[Place]:
    """In this process's memory."""
    yield Place.parse(f"memory://{tmp_path.name}/run")
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


def make(place: Place, count: int) -> None:
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        for k in range(count):
            add(store, index=k)
        store.record(judged={"verdicts": [verdict("m", 0)]}, events=["so it was"])
        store.end("complete")


def test_a_run_is_the_same_on_another_machine(place: Place, own_cache: Path) -> None:
    make(place, 3)
    assert set(place.sizes()) == {
        *("run.json", "records/part-000001.parquet"),
        *(f"images/m/000001_s0_{k}.png" for k in range(3)),
    }
    here = reading(place)
    tables = [read_table(here, name) for name in NAMES]
    elsewhere(own_cache)
    there = reading(place)
    assert all(one.equals(read_table(there, name)) for one, name in zip(tables, NAMES, strict=True))
    assert there.name == "run" and shown(there) == place
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        assert store.complete_samples() == {("m", k, 0) for k in range(3)} and store.info.status == "complete"
        add(store, index=7)
    assert indices(reading(place)) == [0, 1, 2, 7]


def test_a_run_made_anew_elsewhere_takes_the_place_of_what_this_machine_holds(
    place: Place, own_cache: Path, tmp_path: Path
) -> None:
    make(place, 3)
    reading(place)
    kept = tmp_path / "this-machine"
    own_cache.rename(kept)
    fsspec.filesystem("memory").store.clear()
    make(place, 1)  # as many parts
    info = RunInfo.read(reading(place)).updated(started="2026-11-28T12:00:00+00:00")  # as every run says of itself
    place.write("run.json", info.model_dump_json().encode())
    shutil.rmtree(own_cache)
    kept.rename(own_cache)
    assert indices(reading(place)) == [0]
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        assert store.complete_samples() == {SAMPLE}
    elsewhere(own_cache)
    assert indices(reading(place)) == [0]


def test_tracebacks_of_the_machine_before_stay(place: Place, own_cache: Path) -> None:
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        (folder / "errors.txt").write_text("the first\n")
        add(store, index=0)
    elsewhere(own_cache)
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        with (folder / "errors.txt").open("a") as file:
            file.write("the second\n")
        add(store, index=1)
    assert place.read("errors.txt", 100) == b"the first\nthe second\n"


def test_what_another_machine_said_of_the_run_is_read_though_it_added_no_part(place: Place, own_cache: Path) -> None:
    make(place, 1)
    reading(place)
    content = place.read("run.json", 2**20)
    place.write("run.json", content.replace(b'"complete"', b'"failed samples"'))
    assert RunInfo.read(reading(place)).status == "failed samples"


@pytest.mark.usefixtures("at_once")
def test_what_is_dropped_or_made_again_is_so_everywhere(place: Place, own_cache: Path) -> None:
    make(place, 3)
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        store.forget_verdicts()
        add(store, index=1, attempts=2)
    elsewhere(own_cache)
    folder = reading(place)
    assert indices(folder, "verdicts") == [] and list(read_table(folder, "samples")["attempts"]) == [1, 2, 1]


def test_a_picture_is_at_the_place_before_its_record_anywhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        add(store, index=0)
        with monkeypatch.context() as broken:
            broken.setattr(Place, "send", lambda self, files: (_ for _ in ()).throw(ConnectionError("gone")))
            with pytest.raises(ConnectionError):
                add(store, index=1)
        assert store.complete_samples() == {SAMPLE}
    assert indices(reading(place)) == [0]


def test_what_was_not_handed_over_stays_on_this_machine(
    place: Place, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(place, 1)
    with monkeypatch.context() as broken, pytest.raises(ConnectionError):  # noqa: SIM117
        with writing(place) as folder, RunStore(folder, SETTINGS) as store:
            add(store, index=1)
            broken.setattr(Place, "create", lambda *_: (_ for _ in ()).throw(ConnectionError("gone")))
    assert "records/part-000002.parquet" not in place.sizes()
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        assert len(store.complete_samples()) == 2  # nothing is made again here
    elsewhere(own_cache)
    assert indices(reading(place)) == [0, 1]


def test_a_kill_loses_on_another_machine_what_was_not_handed_over(place: Place, own_cache: Path) -> None:
    make(place, 1)
    opened = writing(place)
    folder = opened.__enter__()
    store = RunStore(folder, SETTINGS)
    add(store, index=1)  # and it is gone: nothing was closed
    elsewhere(own_cache)
    with writing(place) as again, RunStore(again, SETTINGS) as other:
        assert other.complete_samples() == {SAMPLE}
        add(other, index=1)
    assert indices(reading(place)) == [0, 1]


def test_a_picture_that_was_removed_or_torn_at_the_place_is_not_counted(place: Place) -> None:
    make(place, 3)
    files = fsspec.filesystem("memory")
    root = place.url.removeprefix("memory:/")
    files.rm(f"{root}/images/m/000001_s0_0.png")
    files.pipe_file(f"{root}/images/m/000001_s0_1.png", b"torn")
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        assert store.complete_samples() == {("m", 2, 0)}


def test_two_commands_at_one_place(place: Place, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(place, 1)
    with writing(place) as folder, RunStore(folder, SETTINGS) as first:
        with pytest.raises(InputError, match=f"{place}: is in use by process"), writing(place):
            pass
        assert indices(reading(place)) == [0]  # who reads sees what the first has
        monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache / "other"))
        with writing(place) as other, RunStore(other, SETTINGS) as second:
            add(second, index=5)
        add(first, index=6)
        with pytest.raises(InputError, match=f"{place}: another command has written there meanwhile"):
            first.update("complete")
        with pytest.raises(InputError, match="another command"):
            first.__exit__()
        first._mirror = None
    assert indices(reading(place)) == [0, 5]
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache))
    assert indices(reading(place)) == [0, 5]  # the first one's records are behind the place's


def test_what_is_no_run_is_left_alone(place: Place) -> None:
    with pytest.raises(InputError, match=r"run/run.json: is absent: there is no run"):
        reading(place)
    place.write("thesis.txt", b"mine")
    with pytest.raises(InputError, match=r"holds thesis.txt and no run.json"), writing(place):
        pass
    assert list(place.sizes()) == ["thesis.txt"]


@pytest.mark.usefixtures("at_once")
def test_a_part_that_lacks_or_is_damaged_is_named(place: Place) -> None:
    make(place, 3)
    part = place.read("records/part-000002.parquet", 2**20)
    place.write("records/part-000002.parquet", part[:-10])
    with pytest.raises(InputError, match=r"run/records/part-000002.parquet: is not a part"):
        reading(place)
    files = fsspec.filesystem("memory")
    files.rm(f"{place.url.removeprefix('memory:/')}/records/part-000002.parquet")
    with pytest.raises(InputError, match=r"part-000002.parquet: is absent, and later parts are there"):
        reading(place)


def test_names_at_the_place_lead_nowhere_else(place: Place, tmp_path: Path) -> None:
    make(place, 1)
    files = fsspec.filesystem("memory")
    for name in ("images/../../escape.png", "images/m/../../../escape.png", "images/../escape.png", "escape.png"):
        files.store[f"{place.url.removeprefix('memory:/')}/{name}"] = files.store[next(iter(files.store))]
    folder = reading(place)
    assert not list(tmp_path.rglob("escape.png")) and indices(folder) == [0]


def test_verdicts_of_full_size_are_handed_over(place: Place, own_cache: Path) -> None:
    make(place, 2)
    judge = FullSizeJudge(of="style", name="clip", source="0" * 64, choices=2)
    with writing(place) as folder, RunStore(folder, SETTINGS) as store:
        store.record_full_size(judge, [("m", 0, 0, "a", "b", 0, 0.5)])
        store.record_full_size(judge, [("m", 1, 0, "a", "a", 1, 0.5)])
    elsewhere(own_cache)
    folder = reading(place)
    assert indices(folder, "full_size_styles") == [1] and RunInfo.read(folder).progress.full_size == (judge,)

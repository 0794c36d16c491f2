"""Run folders from strangers, or of something else: what is refused, and that nothing leads out of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.run import schema
from bench.run.images import picture_is, stored_file
from bench.run.read import read_table
from bench.run.store import RunStore
from tests.bench.fakes import run_settings
from tests.bench.run.test_store import IMAGE, SETTINGS, add


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="it is not a run folder"):
        RunStore(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "text",
    [
        "../../escape",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a\0b",
        "a\nb",
        "x" * 5000,
        "\u202ertl",
        "🙂",
        "\ud800",
        "a/b\\c",
        "%2e",
    ],
)
def test_hostile_names_stay_in_the_folder(tmp_path: Path, text: str) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        paths = [store.add_image(text, "1", "0", 0, IMAGE)[0], store.add_image("m", text, text, 0, IMAGE)[0]]
    for path in paths:
        resolved = (tmp_path / "run" / path).resolve()
        assert resolved.is_file() and resolved.parent.parent == tmp_path / "run" / "images"
        assert path.isprintable()
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_distinct_names_stay_distinct(tmp_path: Path) -> None:
    texts = ["a/b", "a%2fb", "a_b", "a-b", "x" * 81, "x" * 82, "\ud800", "?"]
    with RunStore(tmp_path / "run", SETTINGS) as store:
        assert len({store.add_image("m", text, "0", 0, IMAGE)[0] for text in texts}) == len(texts)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_run_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    (tmp_path / "run" / "run.json").write_bytes(content)
    with pytest.raises(InputError, match=r"run\.json"):
        RunStore(tmp_path / "run", SETTINGS)


def test_a_broken_database_is_one_line(tmp_path: Path) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    (tmp_path / "run" / "run.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match=r"run\.sqlite"):
        read_table(tmp_path / "run", "samples")
    with pytest.raises(InputError, match=r"run\.sqlite"):
        RunStore(tmp_path / "run", SETTINGS)
    with pytest.raises(InputError, match="absent"):
        read_table(tmp_path, "samples")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW strange AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "CREATE TRIGGER strange AFTER INSERT ON events BEGIN DELETE FROM samples; END",
        "ALTER TABLE samples ADD COLUMN strange TEXT",
        "PRAGMA ignore_check_constraints = 1; "
        "INSERT INTO samples VALUES ('m', -1, 0, 'ok', NULL, 1, '', '', 1, 1.0, '');",
    ],
)
def test_a_database_of_another_make_is_refused(tmp_path: Path, statement: str) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    with sqlite3.connect(tmp_path / "run" / "run.sqlite") as database:
        database.executescript(statement)
    for use in (lambda: read_table(tmp_path / "run", "samples"), lambda: RunStore(tmp_path / "run", SETTINGS)):
        with pytest.raises(InputError, match=r"run\.sqlite: is (not a run's database|damaged)"):
            use()


@pytest.mark.parametrize(
    "name", ["run.json", "run.json.partial", "run.sqlite", "detections.sqlite", "lock", "images", "images/m"]
)
def test_a_link_cannot_lead_writes_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store)
    own, away = tmp_path / "run" / name, tmp_path / "away"
    if own.exists():
        own.rename(away)
    else:
        away.write_bytes(b"mine")
    own.symlink_to(away)
    before = away.read_bytes() if away.is_file() else sorted(away.rglob("*"))
    with pytest.raises(InputError, match=f"{name}: is a link"):
        RunStore(tmp_path / "run", SETTINGS)
    assert (away.read_bytes() if away.is_file() else sorted(away.rglob("*"))) == before


def test_records_without_a_run_json_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store)
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(InputError, match=r"holds images and no run\.json"):
        RunStore(tmp_path / "run", run_settings(batch=99))
    (tmp_path / "new").mkdir()
    for name in ("lock", "run.json.partial"):  # a run that was killed at its start
        (tmp_path / "new" / name).touch()
    RunStore(tmp_path / "new", SETTINGS).__exit__()


@pytest.mark.parametrize(
    "name", ["../run/images/m/a.png", "images/../../x.png", "/etc/passwd", "images/\n.png", "run.json", None]
)
def test_a_record_names_pictures_of_its_own_folder_only(tmp_path: Path, name: object) -> None:
    assert stored_file(tmp_path / "run", name) is None


def test_names_in_the_schema_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    RunStore(tmp_path / "run", SETTINGS).__exit__()
    path = tmp_path / "run" / "run.sqlite"
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE events", b"CREATE TABLE \xffvents"))
    for use in (lambda: read_table(tmp_path / "run", "samples"), lambda: RunStore(tmp_path / "run", SETTINGS)):
        with pytest.raises(InputError, match=r"run\.sqlite"):
            use()


def test_a_record_may_name_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "loop.png").symlink_to("loop.png")
    for name in (
        "images/loop.png",
        f"images/{'x' * 400}.png",
        "images/../../x",
        "/etc/passwd",
        3,
        None,
        "images/\x1b.png",
    ):
        assert stored_file(tmp_path, name) is None and not picture_is(tmp_path, name, None)


def test_a_table_that_memory_could_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunStore(tmp_path / "run", SETTINGS) as store:
        store.record(events=["one", "two"])
    assert len(read_table(tmp_path / "run", "events")) == 2
    monkeypatch.setattr("bench.run.read.MAX_ROWS", 1)
    with pytest.raises(InputError, match=r"run\.sqlite: events: has more than 1 rows"):
        read_table(tmp_path / "run", "events")


@pytest.mark.parametrize("place", ["file", "file/run", "x" * 300, "/dev/null", "/proc/run", "a\0b"])
def test_what_cannot_be_a_run_folder_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be a folder"):
        RunStore(tmp_path / place, SETTINGS)


def test_a_run_that_lies_in_the_order_of_before_is_read_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema.SCHEMA.replace(schema.KEY, schema.KEY_BEFORE)
    with monkeypatch.context() as earlier:
        earlier.setattr("bench.run.store.SCHEMA", before)
        earlier.setattr("bench.run.read.SCHEMA", before)
        earlier.setattr("bench.run.read.KEY", schema.KEY_BEFORE)
        with RunStore(tmp_path / "run", SETTINGS) as store:
            add(store)
    with RunStore(tmp_path / "run", SETTINGS) as store:
        add(store, index=1)
    assert read_table(tmp_path / "run", "samples")["layout_index"].tolist() == [0, 1]
    held = sqlite3.connect(tmp_path / "run" / "run.sqlite")
    assert schema.KEY_BEFORE in held.execute("SELECT sql FROM sqlite_master WHERE name = 'samples'").fetchone()[0]
    held.close()

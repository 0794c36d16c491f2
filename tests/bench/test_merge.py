from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.generation import groups, share
from bench.job import Job, run_job
from bench.merge import merge_runs
from bench.store import RunStore, read_run_info, read_table
from bench.verify import verify_run
from tests.bench.conftest import JobRunner
from tests.bench.fakes import METHODS, small_set
from tests.bench.test_generation import assert_same

SHARDS = [(1, 2), (2, 2)]


@pytest.fixture
def parts(run_fake_job: JobRunner) -> list[Path]:
    return [run_fake_job(f"part{i}", shard=(i, n)) for i, n in SHARDS]


def change_info(folder: Path, **fields: Any) -> None:
    info = read_run_info(folder)
    (folder / "run.json").write_text(json.dumps({**info, **fields}))


def test_shards_hold_each_group_once_and_whole() -> None:
    work = groups(small_set(), METHODS, (0, 1), 8)
    parts = [share(work, (i, 3)) for i in (1, 2, 3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert sorted(g.entries[0].index for part in parts for g in part) == sorted(g.entries[0].index for g in work)
    assert all(group in work for part in parts for group in part)
    assert {group.method for group in parts[0]} == set(METHODS)


@pytest.mark.parametrize(("shard", "message"), [((0, 2), "not between"), ((3, 2), "not between"), ((1, 4), "only 3")])
def test_an_impossible_shard_is_refused(shard: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        share(groups(small_set(), METHODS, (0,), 8), shard)


def test_merged_shards_are_the_run_of_one_process(run_fake_job: JobRunner, parts: list[Path], tmp_path: Path) -> None:
    whole = run_fake_job("whole")
    assert 0 < len(read_table(parts[0], "samples")) < len(read_table(whole, "samples"))
    assert verify_run(parts[0]) == []
    assert merge_runs(tmp_path / "merged", parts) == len(read_table(whole, "samples"))
    assert_same(tmp_path / "merged", whole)
    assert verify_run(tmp_path / "merged") == []
    info = read_run_info(tmp_path / "merged")
    assert info["shard"] is None and info["status"] == "complete" and len(info["merged"]) == 2
    job = Job("mini", "mini", ("interactdiffusion", "migc"), (0,), 8, 25)
    assert run_job(job, tmp_path / "merged", tmp_path / "reports", 1)[1] == 0  # its command finds it complete
    assert (tmp_path / "reports" / "merged" / "summary.json").is_file()


def test_a_stopped_merge_goes_on(parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = RunStore.record, []

    def record(self: RunStore, *arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(self, *arguments)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(RunStore, "record", record)
        merge_runs(tmp_path / "merged", parts)
    assert read_run_info(tmp_path / "merged")["status"] == "merging"
    merge_runs(tmp_path / "merged", parts)
    assert verify_run(tmp_path / "merged") == []


def test_a_part_that_was_mended_replaces_what_was_merged_of_it(
    run_fake_job: JobRunner, parts: list[Path], tmp_path: Path
) -> None:
    whole = run_fake_job("whole")
    mended = Path(shutil.copytree(parts[0], tmp_path / "mended"))
    database(parts[0], "DELETE FROM verdicts WHERE layout_index % 2 OR layout_index % 3 = 0")
    database(parts[0], "UPDATE samples SET status = 'failed', image = NULL, sha256 = NULL WHERE layout_index % 3 = 0")
    merge_runs(tmp_path / "merged", parts, allow_gaps=True)
    assert read_run_info(tmp_path / "merged")["status"] == "gaps"
    merge_runs(tmp_path / "merged", [mended, parts[1]])
    assert_same(tmp_path / "merged", whole)
    assert verify_run(tmp_path / "merged") == []
    events = read_table(tmp_path / "merged", "events")
    merge_runs(tmp_path / "merged", [mended, parts[1]])  # nothing new
    assert read_table(tmp_path / "merged", "events").equals(events)


def test_what_none_of_the_parts_holds_is_not_kept_in_silence(parts: list[Path], tmp_path: Path) -> None:
    merge_runs(tmp_path / "merged", parts)
    with pytest.raises(InputError, match=r"merged: samples: holds .*, which is in none of the parts"):
        merge_runs(tmp_path / "merged", parts[:1], allow_gaps=True)


def test_settings_that_were_forced_stay_known(parts: list[Path], tmp_path: Path) -> None:
    forced = [{"field": "batch", "before": "4", "now": "8"}]
    change_info(parts[1], forced=forced)
    merge_runs(tmp_path / "merged", parts)
    assert read_run_info(tmp_path / "merged")["forced"] == forced
    assert any("--force" in problem for problem in verify_run(tmp_path / "merged"))


def test_records_that_lead_out_of_the_merged_folder_are_refused(parts: list[Path], tmp_path: Path) -> None:
    database(parts[0], f"UPDATE samples SET image = '../{parts[0].name}/' || image")
    with pytest.raises(InputError, match="is not the picture that was recorded"):
        merge_runs(tmp_path / "merged", parts)
    assert not (tmp_path / "merged").exists()


def database(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "run.sqlite") as opened:
        opened.execute(statement)


def test_overlaps_are_refused(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"part0|part1: samples: .* is also in .*part1"):
        merge_runs(tmp_path / "merged", [parts[0], parts[1], parts[0]])
    assert not (tmp_path / "merged").exists()


def test_gaps_are_refused_unless_allowed(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"merged: \d+ samples are missing or not judged"):
        merge_runs(tmp_path / "merged", parts[:1])
    assert not (tmp_path / "merged").exists()
    merge_runs(tmp_path / "merged", parts[:1], allow_gaps=True)
    assert read_run_info(tmp_path / "merged")["status"] == "gaps"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": {"unet": "xyz"}}, 'weights.unet: is "xyz", and "abc" in'),
        ({"sources": "other"}, "sources: is"),
        ({"batch": 4}, "batch: is 4, and 8"),
    ],
)
def test_parts_under_different_settings_are_refused(
    parts: list[Path], tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    change_info(parts[1], **fields)
    with pytest.raises(InputError, match="part2/run.json: " + message.replace(".", r"\.")):
        merge_runs(tmp_path / "merged", parts)
    assert not (tmp_path / "merged").exists()


def test_a_changed_picture_is_refused(parts: list[Path], tmp_path: Path) -> None:
    next((parts[1] / "images" / "migc").iterdir()).write_bytes(b"other")
    with pytest.raises(InputError, match=r"part2: images/migc/.* is not the picture that was recorded"):
        merge_runs(tmp_path / "merged", parts)
    assert not (tmp_path / "merged").exists()


def test_parts_on_another_machine_are_joined(parts: list[Path], tmp_path: Path) -> None:
    change_info(parts[1], machine="elsewhere", git=None, driver="1.2")
    shutil.move(parts[1], tmp_path / "moved")
    merge_runs(tmp_path / "merged", [parts[0], tmp_path / "moved"])
    assert read_run_info(tmp_path / "merged")["merged"][1]["machine"] == "elsewhere"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM samples WHERE layout_index = 0", "part0: verdicts: are of .*, which it does not hold"),
        ("INSERT INTO verdicts SELECT * FROM other.verdicts", "part0: verdicts: are of .*, which it does not hold"),
        (
            "UPDATE samples SET method = 'alien' WHERE method = 'migc' AND layout_index = 0",
            r"part0: samples: holds \('alien', .*, which the job does not ask for",
        ),
    ],
)
def test_records_that_are_not_a_parts_own_are_refused(
    parts: list[Path], tmp_path: Path, statement: str, message: str
) -> None:
    with sqlite3.connect(parts[0] / "run.sqlite") as opened:
        opened.execute("ATTACH ? AS other", (str(parts[1] / "run.sqlite"),))
        opened.execute(statement)
    parts[0].rename(tmp_path / "part0")
    for order in ([tmp_path / "part0", parts[1]], [parts[1], tmp_path / "part0"]):
        with pytest.raises(InputError, match=message):
            merge_runs(tmp_path / "merged", order, allow_gaps=True)
    assert not (tmp_path / "merged").exists()


def test_a_sample_with_too_few_verdicts_is_a_gap(parts: list[Path], tmp_path: Path) -> None:
    database(parts[0], "DELETE FROM verdicts WHERE layout_index = 0 AND instance = 0")
    with pytest.raises(InputError, match="samples are missing or not judged"):
        merge_runs(tmp_path / "merged", parts)


def test_the_layouts_must_be_those_of_the_parts(parts: list[Path], tmp_path: Path) -> None:
    for part in parts:
        change_info(part, layout_hash="0" * 64)
    with pytest.raises(InputError, match=r"part1/run\.json: layout_hash: the layout set is not the one that was run"):
        merge_runs(tmp_path / "merged", parts)


def test_a_strange_number_of_workers_does_no_harm(parts: list[Path], tmp_path: Path) -> None:
    for part in parts:
        change_info(part, workers=int("9" * 4300))
    merge_runs(tmp_path / "merged", parts)
    assert read_run_info(tmp_path / "merged")["workers"] == 0

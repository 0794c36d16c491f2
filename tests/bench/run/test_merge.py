from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.benchmark import run_benchmark
from bench.job.batches import groups, share
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.run.info import RunInfo
from bench.run.merge import merge_runs, named
from bench.run.read import read_table
from bench.run.store import RunStore
from bench.run.verify import verify_run
from tests.bench.conftest import JobRunner
from tests.bench.fakes import METHODS, change_info, small_set
from tests.bench.stages.test_generate import assert_same

SHARDS = [(1, 2), (2, 2)]
PAIR = ("interactdiffusion", "migc")


@pytest.fixture
def parts(run_fake_job: JobRunner) -> list[Path]:
    return [run_fake_job(f"part{i}", shard=(i, n)) for i, n in SHARDS]


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
    assert merge_runs(tmp_path / "merged", parts) == (len(read_table(whole, "samples")), [])
    assert_same(tmp_path / "merged", whole)
    merged, findings = (read_table(run, "findings") for run in (tmp_path / "merged", whole))
    assert len(merged) == len(read_table(whole, "verdicts")) and merged.equals(findings)
    assert verify_run(tmp_path / "merged") == []
    info = RunInfo.read(tmp_path / "merged")
    assert info.job.shard is None and info.status == "complete"
    assert [part.shard for part in info.progress.merged] == SHARDS
    job = Job("mini", "mini", ("interactdiffusion", "migc"), (0,), 8, 25)
    assert (
        run_benchmark(Plan.resolve(job), tmp_path / "merged", tmp_path / "reports", 1)[1] == 0
    )  # its command finds it complete
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
    assert RunInfo.read(tmp_path / "merged").status == "merging"
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
    assert RunInfo.read(tmp_path / "merged").status == "gaps"
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
    assert [one.model_dump() for one in RunInfo.read(tmp_path / "merged").progress.forced] == forced
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
    assert RunInfo.read(tmp_path / "merged").status == "gaps"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": {"unet": "xyz"}}, 'weights.unet: is "xyz", and "abc" in'),
        ({"sources": "other"}, "sources: is"),
        ({"batch": 4}, "batch: is 4, and 8"),
        ({"limit": 15}, "limit: is 15, and 25"),
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
    change_info(parts[0], started="2001-01-01T00:00:00+00:00", finished="2001-01-03T00:00:00+00:00", workers=2)
    change_info(parts[1], started="2001-01-02T00:00:00+00:00", finished="2001-01-02T12:00:00+00:00", workers=3)
    shutil.move(parts[1], tmp_path / "moved")
    merge_runs(tmp_path / "merged", [parts[0], tmp_path / "moved"])
    part = RunInfo.read(tmp_path / "merged").progress.merged[1]
    assert part.provenance is not None and part.provenance.machine == "elsewhere"
    whole = RunInfo.read(tmp_path / "merged").progress
    times = (whole.started or "")[:10], (whole.finished or "")[:10]
    assert (times, whole.workers) == (("2001-01-01", "2001-01-03"), 5)


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
    with pytest.raises(InputError, match=r"part1/run\.json: settings\.layout_hash: the layout set is not"):
        merge_runs(tmp_path / "merged", parts)


@pytest.mark.parametrize("workers", [0, -1, 2**31, int("9" * 4300), "2", True])
def test_a_strange_number_of_workers_is_refused(parts: list[Path], tmp_path: Path, workers: object) -> None:
    change_info(parts[1], workers=workers)
    with pytest.raises(InputError, match=r"part2/run\.json: progress\.workers: "):
        merge_runs(tmp_path / "merged", parts)


def test_runs_of_other_seeds_and_methods_are_joined(run_fake_job: JobRunner, tmp_path: Path) -> None:
    whole = run_fake_job("whole", seeds=(0, 1))
    parts = [run_fake_job(f"{m}{s}", seeds=(s,), methods=(m,)) for s in (0, 1) for m in PAIR]
    assert merge_runs(tmp_path / "merged", parts) == (25 * 4 + 25, [])  # the true renderings of the first seed, once
    assert_same(tmp_path / "merged", whole)
    findings = [read_table(run, "findings") for run in (tmp_path / "merged", whole)]
    assert findings[0].equals(findings[1])
    assert verify_run(tmp_path / "merged") == []
    info = RunInfo.read(tmp_path / "merged")
    assert info.settings == RunInfo.read(whole).settings and info.status == "complete"
    assert [(one.methods, one.seeds) for one in info.progress.merged][1:3] == [(("migc",), (0,)), (PAIR[:1], (1,))]
    events = read_table(tmp_path / "merged", "events")
    merge_runs(tmp_path / "merged", parts)  # nothing new
    assert read_table(tmp_path / "merged", "events").equals(events)


def test_what_no_part_holds_of_the_union_is_named(run_fake_job: JobRunner, tmp_path: Path) -> None:
    parts = [run_fake_job("a", methods=PAIR[:1]), run_fake_job("b", methods=PAIR[1:], seeds=(1,))]
    lacking = "50 samples are missing or not judged: 25 of interactdiffusion with seed 1, 25 of migc with seed 0"
    with pytest.raises(InputError, match=f"merged: {lacking}; --allow-gaps"):
        merge_runs(tmp_path / "merged", parts)
    assert not (tmp_path / "merged").exists()
    merged = merge_runs(tmp_path / "merged", parts, allow_gaps=True)
    assert merged.samples == 75 and named(merged.gaps) == lacking.partition(": ")[2]
    job = RunInfo.read(tmp_path / "merged").job
    assert (job.methods, job.seeds) == (PAIR, (0, 1)) and RunInfo.read(tmp_path / "merged").status == "gaps"
    assert run_benchmark(Plan.resolve(job), tmp_path / "merged", tmp_path / "reports", 1)[1] == 0
    assert_same(tmp_path / "merged", run_fake_job("whole", seeds=(0, 1)))


def test_shards_of_several_seeds_are_joined(run_fake_job: JobRunner, tmp_path: Path) -> None:
    parts = [run_fake_job(f"{i}-{seed}", seeds=(seed,), shard=(i, 2)) for seed in (0, 1) for i in (1, 2)]
    merge_runs(tmp_path / "merged", parts)
    assert_same(tmp_path / "merged", run_fake_job("whole", seeds=(0, 1)))


def test_another_true_rendering_is_refused(run_fake_job: JobRunner, tmp_path: Path) -> None:
    parts = [run_fake_job(name, methods=(name,)) for name in PAIR]
    database(parts[1], "UPDATE samples SET sha256 = '0' WHERE method = 'ceiling' AND layout_index = 3")
    with pytest.raises(InputError, match=r"samples: \('ceiling', 3, 0\) is also in .*interactdiffusion"):
        merge_runs(tmp_path / "merged", parts)


def test_a_run_is_not_joined_into_itself(run_fake_job: JobRunner, tmp_path: Path) -> None:
    whole, before = run_fake_job("whole"), (run_fake_job("whole2") / "run.json").read_bytes()
    (tmp_path / "link").symlink_to(whole)
    for parts in ([whole], [whole, tmp_path / "whole2"], [tmp_path / "link"]):
        with pytest.raises(InputError, match="whole: is one of the runs to be joined"):
            merge_runs(whole, parts)
    assert (whole / "run.json").read_bytes() == before

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amdm.errors import InputError
from bench.cocomig.metrics import metric_table
from bench.report.combined import write_combined
from bench.report.compare import compare_runs
from bench.report.measured import Measured
from bench.report.tables import TableInfo, table1
from bench.report.write import write_report
from bench.run.read import read_table
from tests.bench.cocomig.test_metrics import table
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info

METHODS = ["interactdiffusion", "migc", "ceiling"]


def sections(text: str) -> dict[str, str]:
    """Heading → what stands below it."""
    parts = text.split("\n## ")
    return {part.splitlines()[0]: part for part in parts}


def test_the_table_has_the_papers_form_and_its_numbers_are_the_metrics(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    table = pd.read_csv(tmp_path / "reports" / "run" / "table1.csv")
    levels = ["L2", "L3", "L4", "L5", "L6", "Avg"]
    assert table.columns.tolist() == [
        "method",
        *(f"ISR {level}" for level in levels),
        *(f"mIoU {level}" for level in levels),
        *("IoU (any colour)", "image success", "ISR low", "ISR high", "mIoU low", "mIoU high"),
        *("s/image", "peak MiB", "n", "expected"),
    ]
    assert table.method.tolist() == METHODS and table.n.tolist() == [25] * 3
    expected = metric_table(read_table(folder, "verdicts"), intervals=False).set_index(["method", "level"])
    for row in table.to_dict("records"):
        for level in levels:
            assert row[f"ISR {level}"] == pytest.approx(100 * expected.isr[row["method"], level], abs=1e-4)
            assert row[f"mIoU {level}"] == pytest.approx(100 * expected.miou[row["method"], level], abs=1e-4)
        for metric in ("ISR", "mIoU"):
            assert row[f"{metric} low"] < row[f"{metric} Avg"] < row[f"{metric} high"]
        for name, column in (("iou", "IoU (any colour)"), ("image_success", "image success")):
            assert row[column] == pytest.approx(100 * expected[name][row["method"], "Avg"], abs=1e-4)
        assert row["mIoU Avg"] <= row["IoU (any colour)"]
    assert table.set_index("method")["s/image"].notna().tolist() == [True, True, False]
    assert table["peak MiB"].notna().tolist() == [True, True, False] and table["peak MiB"][0] > 50


def test_costs_are_of_the_pictures_that_are_there() -> None:
    samples = pd.DataFrame({"method": "m", "status": ["ok", "ok", "failed"], "seconds": [1.0, 4.0, 90.0]})
    info = TableInfo("Title", "judge", "own", "0" * 64, 2, 2, ("m",), (0,), "command")
    (row,) = table1(
        metric_table(table({0: "cc", 1: "cp"}, "m")), samples.assign(peak_bytes=[2**20, 2**22, 2**30]), info
    )[["s/image", "peak MiB", "n", "expected"]].to_numpy()
    assert row.tolist() == [2.5, 4, 2, 2]


def test_the_page_says_what_was_measured_and_how_it_differs(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run_fake_job()
    page = (tmp_path / "reports" / "run" / "table1.md").read_text()
    parts = sections(page)
    assert page.startswith("# Table 1 (mini world): mini\n")
    assert "25 of 800 layouts" in page and "judge `mini-judge blobs`" in page and "Avg is weighted by instances" in page
    assert "true renderings" in page
    assert "not the shipped ones: unet abc" in page
    assert "migc − interactdiffusion" in parts["Paired differences"]
    for column in ("place", "colour given place", "nothing detected", "wrong place", "wrong colour"):
        assert column in parts["Where instances fail"]
    assert "Over seeds" not in parts and "Missing" not in parts


def test_a_forced_run_says_so_in_every_table(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    change_info(folder, forced=[{"field": "layouts", "before": '"mini"', "now": '"mini-hard"'}])
    page = write_report(folder, tmp_path / "again")
    assert "(`--force`)" in page and '- layouts: was "mini", now "mini-hard"' in page
    assert json.loads((tmp_path / "again" / "summary.json").read_text())["forced"]
    assert "mini-hard" in (tmp_path / "again" / "table1.tex").read_text()
    assert "run (--force)" in write_combined([Measured.read(folder)], tmp_path / "combined", False)
    change_info(folder, forced=[{"field": 1}])
    with pytest.raises(InputError, match=r"progress\.forced\.0\.field"):
        write_report(folder, tmp_path / "again")


def test_the_failure_split_adds_up(run_fake_job: JobRunner) -> None:
    from bench.report.tables import failure_split

    verdicts = read_table(run_fake_job(), "verdicts")
    split = failure_split(metric_table(verdicts), METHODS[:2])
    isr = metric_table(verdicts, intervals=False).query("level == 'Avg'").set_index("method").isr
    total = (
        split["nothing detected"] + split["wrong place"] + split["wrong colour"] + 100 * isr[split.method].to_numpy()
    )
    np.testing.assert_allclose(total, 100)


def test_seeds_are_shown_as_mean_and_spread(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job(seeds=(0, 3))
    verdicts = read_table(folder, "verdicts")
    of_seed = [
        100 * metric_table(part, intervals=False).query("method == 'migc' and level == 'Avg'").isr.item()
        for _, part in verdicts[verdicts.method == "migc"].groupby("seed")
    ]
    report = tmp_path / "reports" / "run"
    page = (report / "table1.md").read_text()
    assert f"{np.mean(of_seed):.2f} ± {np.std(of_seed, ddof=1):.2f}" in sections(page)["Over seeds"]
    spread = pd.read_csv(report / "seeds.csv").set_index(["method", "level"]).loc[("migc", "Avg")]
    assert spread.seeds == 2 and 100 * spread.isr_std == pytest.approx(np.std(of_seed, ddof=1), abs=1e-3)
    table = pd.read_csv(report / "table1.csv")
    assert table.n.tolist() == [50, 50, 25]


def test_differences_are_a_table_too(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run_fake_job()
    report = tmp_path / "reports" / "run"
    metrics = pd.read_csv(report / "metrics.csv").query("level == 'Avg'").set_index("method")
    (row,) = pd.read_csv(report / "differences.csv").to_dict("records")
    assert (row["method"], row["target"], row["pairs"], row["unpaired"]) == ("migc", "interactdiffusion", 25, 0)
    for metric in ("isr", "miou", "place"):
        assert row[metric] == pytest.approx(metrics[metric]["migc"] - metrics[metric]["interactdiffusion"], abs=2e-6)
        assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]
    assert f"{100 * row['isr']:+.2f} [" in sections((report / "table1.md").read_text())["Paired differences"]
    assert not (report / "seeds.csv").exists()


def test_a_full_disk_leaves_the_report_that_was_there(
    run_fake_job: JobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, report = run_fake_job(), tmp_path / "again"
    write_report(folder, report)
    before = {path.name: path.read_bytes() for path in report.iterdir()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(folder, report)
    assert {name: (report / name).read_bytes() for name in before} == before


def test_a_table_of_an_earlier_run_does_not_stay(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder, report = run_fake_job(), tmp_path / "again"
    report.mkdir()
    (report / "seeds.csv").write_text("of another run")
    write_report(folder, report)
    assert not (report / "seeds.csv").exists() and (report / "differences.csv").exists()


def test_missing_samples_are_named_and_not_counted(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    complete = pd.read_csv(tmp_path / "reports" / "run" / "table1.csv").set_index("method")
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("DELETE FROM verdicts WHERE method = 'migc' AND layout_index = 0")
        database.execute(
            "UPDATE samples SET status = 'failed', error = 'ValueError:\n| broken', image = NULL "
            "WHERE method = 'migc' AND layout_index = 0"
        )
        database.execute("DELETE FROM verdicts WHERE method = 'interactdiffusion'")
    page = write_report(folder, tmp_path / "again")
    table = pd.read_csv(tmp_path / "again" / "table1.csv").set_index("method")
    assert table.n.tolist() == [0, 24, 25] and np.isnan(table.loc["interactdiffusion", "ISR Avg"])
    assert table.loc["migc", "ISR L2"] != complete.loc["migc", "ISR L2"]
    missing = sections(page)["Missing"]
    assert "migc: 24 of 25 images were judged" in missing
    assert "interactdiffusion: 0 of 25 images were judged" in missing
    assert "migc, layout 0, seed 0 failed: ValueError: | broken" in missing


def test_the_summary_is_strict_json(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run_fake_job()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (tmp_path / "reports" / "run" / "summary.json").read_text()
    summary = json.loads(text, parse_constant=refuse)
    value, low, high = summary["results"]["migc"]["isr"]
    assert low < value < high and summary["results"]["migc"]["images"] == 25 and summary["full_size"] == 800
    stored = pd.read_parquet(tmp_path / "reports" / "run" / "verdicts.parquet")
    assert len(stored) == sum(one["instances"] for one in summary["results"].values())


def test_tables_made_again_are_the_same(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    write_report(folder, tmp_path / "again")
    for name in ("table1.csv", "table1.md", "summary.json", "grid.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "reports" / "run" / name).read_bytes()


def test_a_run_without_verdicts_has_no_table(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("DELETE FROM verdicts")
    with pytest.raises(InputError, match="nothing is judged yet"):
        write_report(folder, tmp_path / "again")
    assert not (tmp_path / "again").exists()


HOSTILE = [
    ("layout_hash", "0" * 64, "layout_hash: the layout set is not the one"),
    ("layout_hash", None, "layout_hash"),
    ("methods", ["nonsense"], "methods: unknown method"),
    ("methods", "migc", "methods"),
    ("seeds", ["0"], r"seeds\.0"),
    ("batch", 0, "batch: 0 is not between"),
    ("judge", {"name": "x"}, r"judge\.revision"),
    ("profile", "huge", "profile: unknown profile"),
    ("layouts", "../../etc/passwd", "layout"),
    ("limit", -3, "limit: -3 is not a positive"),
]


def test_a_hostile_run_json_is_one_line(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job(limit=5)
    whole = (folder / "run.json").read_text()
    for field, value, message in HOSTILE:
        (folder / "run.json").write_text(whole)
        change_info(folder, **{field: value})
        with pytest.raises(InputError, match=message):
            write_report(folder, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_escapes_in_records_do_not_reach_the_terminal(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("UPDATE samples SET status = 'failed', error = 'x\x1b[2J\u202e' WHERE layout_index = 0")
        database.execute("UPDATE verdicts SET attr = 1 - attr, label = 'a\x1b[31m label'")
    page = write_report(folder, tmp_path / "again")
    assert "x\\x1b[2J\\u202e" in page and all(line.isprintable() for line in page.splitlines())
    page = compare_runs(run_fake_job("other"), folder).report
    assert "a\\x1b[31m label" in page and all(line.isprintable() for line in page.splitlines())

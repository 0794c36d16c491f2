"""The page as a file: whole, closed to the outside, every text escaped, and true to the run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
import tomllib
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from amdm.errors import InputError
from bench.cli.main import app
from bench.cocomig.joint import ConditionTables
from bench.cocomig.metrics import JOINT, METRICS
from bench.cocomig.verdict import failure
from bench.layouts.named import load_layouts
from bench.report.combined import published
from bench.report.html import gallery
from bench.report.html.page import write_page
from bench.report.measured import Measured
from bench.report.write import write_report
from tests.bench.conftest import JobRunner
from tests.bench.report.html.conftest import HOSTILE, hostile, many

ROOT = Path(__file__).resolve().parents[4]
Runner = Callable[..., Measured]


def data_of(page: str, name: str = "data") -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_run_ends_with_its_page(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run_fake_job()
    page = (tmp_path / "reports" / "run" / "report.html").read_text(encoding="utf-8")
    table = (tmp_path / "reports" / "run" / "table1.csv").read_text().splitlines()
    for value in (cell for line in table[1:3] for cell in line.split(",")[1:7]):
        assert f"<td>{float(value):.2f}<small>" in page.replace(' class="group"', "").replace(' class="avg"', "")
    assert all(one.label in page for one in METRICS.values() if one.name not in JOINT)


def test_actions_and_styles_stand_on_the_page_of_a_run_that_was_asked_for_them(
    run_measured: Runner, tmp_path: Path
) -> None:
    run = run_measured()
    pictures = run.verdicts[["method", "seed", "layout_index"]].drop_duplicates()
    conditions = ConditionTables(
        pictures.assign(interaction=0, subject=0, object=1, outcome="right"),
        pictures.assign(success=True),
        run.conditions.asked.assign(interactions=1, styles=1),
    )
    page = write_page([replace(run, conditions=conditions)], tmp_path).read_text(encoding="utf-8")
    without = write_page([run], tmp_path / "without").read_text(encoding="utf-8")
    for name in JOINT:
        cell = re.compile(rf">{METRICS[name].label}\b[^<>]*<")
        assert cell.search(page) and not cell.search(without), name
    assert "ISR: methods against each other" in page and "joint by picture: methods against each other" in page
    first = page.split("<h2>Charts</h2>")[0].split("<details>")[0]
    assert "what is right together" in first and all(METRICS[name].label in first for name in JOINT)
    charts = page.split("<h2>Charts</h2>")[1].split("<details>")[0]
    for name in JOINT:
        assert f"{METRICS[name].label} by level" in charts


def test_the_gallery_says_what_the_records_say(run_measured: Runner, tmp_path: Path) -> None:
    run = run_measured()
    data = data_of(write_page([run], tmp_path).read_text(encoding="utf-8"))
    methods = [one["name"] for one in data["methods"]]
    assert methods == ["interactdiffusion", "migc", "ceiling"]
    shown = {
        (methods[k], row["key"], one["instance"]): one
        for row in data["rows"]
        for k, tile in enumerate(row["tiles"])
        for one in tile["verdicts"]
    }
    keys = {entry.index: entry.key for entry in run.entries}
    assert len(shown) == len(run.verdicts)
    fates = list(gallery.FATES)
    seen = set()
    for row in run.verdicts.merge(run.findings).to_dict("records"):
        one = shown[row["method"], keys[row["layout_index"]], row["instance"]]
        seen.add(fates[one["fate"]])
        assert fates[one["fate"]] == failure(bool(row["detected"]), bool(row["success"]), bool(row["attr"]))
        assert one["iou"] == pytest.approx(row["iou"], abs=6e-4)
        assert ("box" in one) == bool(row["detected"]) and ("lines" in one) == ("hit" in one) == bool(row["success"])
        if row["success"]:
            assert one["hit"] == pytest.approx(row["hit_px"] / row["mask_px"], abs=6e-4)
            assert one["colour"] == row["found_colour"]
    assert {"none", "wrong_place"} <= seen


def test_what_misses_a_limit_is_not_shown_as_if_it_reached_it(run_measured: Runner, tmp_path: Path) -> None:
    run = run_measured()
    near = {"detected": 1, "success": 0, "attr": 0, "iou": 0.4996, "mask_px": 1000, "hit_px": 199}
    page = write_page([replace(run, verdicts=run.verdicts.assign(**near))], tmp_path).read_text(encoding="utf-8")
    told = [one for row in data_of(page)["rows"] for tile in row["tiles"] for one in tile["verdicts"]]
    assert {f"{one['iou']:.2f}" for one in told} == {"0.49"} and {f"{one['hit']:.2f}" for one in told} == {"0.19"}


def test_the_gallery_says_what_was_found_of_actions_and_styles(run_measured: Runner, tmp_path: Path) -> None:
    run = run_measured(layouts="mini-combined", methods=("migc@combined",), limit=10)
    page = write_page([run], tmp_path).read_text(encoding="utf-8")
    data, keys = data_of(page), {entry.index: entry for entry in run.entries}
    rows, kinds = {row["key"]: row for row in data["rows"]}, [one["kind"] for one in data["conditions"]]
    assert [one["letter"] for one in data["conditions"]] == ["✓", "O", "N", "R", "✓", "O"]  # signs, not colours alone
    assert all(f"<b>{one['whose']}{one['letter']}</b> {one['words']}" in page for one in data["conditions"])
    for one in run.conditions.interactions.query("method == 'migc@combined'").to_dict("records"):
        entry = keys[one["layout_index"]]
        row, asked = rows[entry.key], entry.actions[one["interaction"]]
        assert row["interactions"][one["interaction"]] == asked._asdict() and row["style"] == entry.style_name
        (told,) = (own for own in row["tiles"][0]["conditions"] if own.get("of") == one["interaction"])
        assert kinds[told["condition"]] == f"action_{one['outcome']}"
        assert told.get("found") == (None if one["outcome"] == "none" else one["found"])
    for one in run.conditions.styles.query("method == 'migc@combined'").to_dict("records"):
        (told,) = (own for own in rows[keys[one["layout_index"]].key]["tiles"][0]["conditions"] if "of" not in own)
        assert kinds[told["condition"]] == ("style_right" if one["success"] else "style_other")
        assert told["found"] == one["found"]


def test_the_page_asks_nobody_and_runs_only_its_own_script(run_measured: Runner, tmp_path: Path) -> None:
    page = write_page([run_measured()], tmp_path).read_text(encoding="utf-8")
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "connect-src" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert set(re.findall(r"https?://[^\s\"'<]*", page)) <= {"http://www.w3.org/2000/svg"}  # a name, and no address
    targets = re.findall(r"\b(?:src|href|action|srcset|poster)\s*=\s*\"([^\"]*)\"", page)
    assert targets and all(target.startswith(("#", "data:")) for target in targets)
    assert not re.search(r"\bon\w+=|\bstyle=", re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL))


def test_texts_of_strangers_are_texts(run_measured: Runner, tmp_path: Path) -> None:
    page = write_page([hostile(run_measured())], tmp_path).read_text(encoding="utf-8")
    assert page.count("<script") == 4 and 'onerror="' not in page and HOSTILE not in page
    assert data_of(page)["rows"][0]["caption"] == HOSTILE


def test_published_figures_stand_apart_and_are_marked(run_measured: Runner, tmp_path: Path) -> None:
    page = write_page([run_measured()], tmp_path).read_text(encoding="utf-8")
    results, papers = page.split('<details class="published">')
    papers = papers.split("</details>")[0]
    assert "of another world than these pictures" in papers
    assert papers.count('<span class="paper">paper</span>') == len(published())
    assert "InteractDiffusion(+MIGC)" in papers and "InteractDiffusion(+MIGC)" not in results
    full_size = write_page([replace(run_measured("second"), mini=False)], tmp_path).read_text(encoding="utf-8")
    assert "of another world" not in full_size and "paper</span>" in full_size


def test_runs_on_the_same_layouts_stand_side_by_side(run_fake_job: JobRunner, tmp_path: Path) -> None:
    runs = [run_fake_job(name) for name in ("a", "b")]
    page = write_page([Measured.read(one) for one in runs], tmp_path / "both").read_text(encoding="utf-8")
    names = [one["name"] for one in data_of(page)["methods"]]
    assert names == ["a: interactdiffusion", "a: migc", "b: interactdiffusion", "b: migc", "ceiling"]
    assert all(len(row["tiles"]) == 5 and all(row["tiles"]) for row in data_of(page)["rows"])
    assert "intervals hold for all 6 pairs at once" in page
    with pytest.raises(InputError, match="two runs have one name"):
        write_page([Measured.read(runs[0])] * 2, tmp_path / "both")


def test_runs_on_other_layouts_have_pages_of_their_own(run_fake_job: JobRunner, tmp_path: Path) -> None:
    runs = [run_fake_job("a"), run_fake_job("b", layouts="mini-hard")]
    with pytest.raises(InputError, match=r"b: layout_hash: is not that of .*a; a page shows one"):
        write_page([Measured.read(one) for one in runs], tmp_path / "both")


def test_a_run_of_before_has_boxes_that_were_asked_for_and_says_what_is_not_known(
    run_fake_job: JobRunner, tmp_path: Path
) -> None:
    folder = run_fake_job()
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("DROP TABLE findings")
    (folder / "detections.sqlite").unlink()
    page = write_page([Measured.read(folder)], tmp_path / "page").read_text(encoding="utf-8")
    verdicts = [one for row in data_of(page)["rows"] for tile in row["tiles"] for one in tile["verdicts"]]
    assert verdicts and not any({"box", "colour", "lines"} & set(one) for one in verdicts)
    assert "Not recorded in this run" in page and 'mask-key"' not in page
    assert not (folder / "detections.sqlite").exists()


def test_colours_that_nobody_asked_for_are_not_called_unrecorded(run_measured: Runner, tmp_path: Path) -> None:
    run = run_measured()
    verdicts, findings = run.verdicts.assign(colour=""), run.findings.assign(found_colour=None)
    page = write_page([replace(run, verdicts=verdicts, findings=findings)], tmp_path).read_text(encoding="utf-8")
    assert "No instance that is in its place names a colour." in page and "Not recorded in this run" not in page


def test_many_pairs_of_methods_are_folded(run_measured: Runner, tmp_path: Path) -> None:
    run = many(run_measured(), load_layouts("mini").subset(25), 7)
    page = write_page([run], tmp_path).read_text(encoding="utf-8")
    assert "<summary>Methods against each other: 21 pairs</summary>" in page and 'class="panel broad"' in page


def test_what_failed_and_what_is_missing_is_said(run_measured: Runner, tmp_path: Path) -> None:
    run = run_measured()
    first = run.samples.method == "migc"
    lost, torn, absent = run.samples[first].layout_index[:3]
    samples = run.samples.copy()
    gone = first & (samples.layout_index == lost)
    samples.loc[gone, ["status", "error"]] = "failed", f"no luck with {HOSTILE}"
    samples.loc[first & (samples.layout_index == torn), "image"] = "../../run.json"
    samples = samples[~(first & (samples.layout_index == absent))]
    verdicts = run.verdicts[~((run.verdicts.method == "migc") & run.verdicts.layout_index.isin([lost, absent]))]
    page = write_page([replace(run, samples=samples, verdicts=verdicts)], tmp_path).read_text(encoding="utf-8")
    assert "migc: 23 of 25 pictures were judged" in page and "no luck with &lt;/script&gt;" in page
    rows = {row["key"]: row["tiles"][1] for row in data_of(page)["rows"]}
    keys = {entry.index: entry.key for entry in run.entries}
    assert rows[keys[lost]]["error"].startswith("no luck") and rows[keys[absent]] is None
    assert rows[keys[torn]]["error"].startswith("the picture cannot be shown")


def test_too_many_pictures_are_those_of_the_first_seeds(
    run_measured: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_measured(limit=5, seeds=(0, 1, 2))
    monkeypatch.setattr("bench.report.html.gallery.MAX_PICTURES", 2 * 3 * 5)
    page = write_page([run], tmp_path).read_text(encoding="utf-8")
    assert {row["seed"] for row in data_of(page)["rows"]} == {0, 1} and "Shown: seed 0, 1; 5 layouts" in page


def test_a_single_file_holds_the_large_pictures(
    run_measured: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_measured(limit=5)
    monkeypatch.setattr("bench.report.html.gallery.THUMBNAIL", 32)
    page = write_page([run], tmp_path / "beside").read_text(encoding="utf-8")
    assert len(list((tmp_path / "beside" / "pictures").iterdir())) == 15 and data_of(page, "whole") == []
    page = write_page([run], tmp_path / "single", single_file=True).read_text(encoding="utf-8")
    assert len(data_of(page, "whole")) == 15 and [path.name for path in (tmp_path / "single").iterdir()] == [
        "report.html"
    ]
    assert "file:" not in page.split("</head>")[0].split("<style>")[0]


def test_the_command_writes_it(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    done = CliRunner().invoke(app, ["report", str(folder), "--reports", str(tmp_path / "out")])
    assert done.exit_code == 0 and done.output.strip() == str(tmp_path / "out" / "run" / "report.html")


def test_the_same_run_gives_the_same_page(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder = run_fake_job()
    for name in ("one", "two"):
        write_report(folder, tmp_path / name)
    assert (tmp_path / "one" / "report.html").read_bytes() == (tmp_path / "two" / "report.html").read_bytes()


def test_the_package_holds_templates_scripts_and_styles() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = content["tool"]["setuptools"]["package-data"]["bench"]
    folder = ROOT / "bench" / "report" / "html"
    files = [path for name in ("templates", "static") for path in (folder / name).iterdir()]
    assert len(files) > 5
    assert all(any(fnmatch(str(path.relative_to(ROOT / "bench")), one) for one in patterns) for path in files)

"""Styles and interactions that only judges of full size know, through a run and into its tables, on mini pictures."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.mini.weights_folder import WEIGHTS, weight_digests
from bench.cli.main import app
from bench.judges.clip_style import ClipStyleJudge
from bench.layouts.named import load_layouts
from bench.report.measured import Measured
from bench.report.write import write_report
from bench.run.info import RunInfo
from bench.run.read import read_table
from bench.run.schema import FULL_SIZE_OF
from bench.run.store import RunStore
from bench.run.verify import verify_run
from bench.stages.full_size import _style_names, record_actions, record_styles
from tests.bench.conftest import JobRunner
from tests.bench.fakes import put_picture
from tests.bench.judges.test_clip_style import judge

__all__ = ["judge"]  # a fixture: CLIP's part is played by the mini world's vision tower
METHODS = ("migc@combined", "interactdiffusion@combined")
VERBS = {"joins": "hold", "flanks": "stand_under", "chains": "lasso", "pushes": "push"}


@pytest.fixture
def run(run_fake_job: JobRunner, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shapes with verbs and styles that no judge of the mini world knows, and pictures that are the references of the
    first method's layouts."""
    layouts, shipped = own_layouts(tmp_path_factory.getbasetemp() / "full-size-layouts"), weight_digests(WEIGHTS)
    monkeypatch.setattr("amdm.profiles.weight_digests", lambda profile: shipped)  # of others there is a note
    return run_fake_job(layouts=str(layouts), methods=METHODS, limit=10)


def own_layouts(folder: Path) -> Path:
    source = Path(load_layouts("mini-combined").entries[0].style or "").parents[1] / "mini-combined.json"
    (folder / "styles").mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = dict(list(json.loads(source.read_text()).items())[:10])
    for layout in content.values():
        for one in layout["interactions"]:
            one["action"] = VERBS[one["action"]]
        layout["interactions"] += layout["interactions"][:1]  # what is asked for twice is judged once
        file = Path(layout["style"])
        layout["style"] = f"styles/of-{file.stem.split('-')[0]}-1.png"
        shutil.copyfile(source.parent / file, folder / layout["style"])
    (folder / "own.json").write_text(json.dumps(content))
    return folder / "own.json"


def detections(run: Path, folder: Path, **changed: Any) -> Path:
    """What a detector found: of the first method every interaction, of the second each with another verb."""
    entries = {one.index: one for one in Measured.read(run).entries}
    nouns = sorted({label.category for one in entries.values() for label in one.labels})
    classes = [[verb, noun] for verb in ("hold", "stand under", "push") for noun in nouns]
    images: dict[str, list[Any]] = {}
    for row in read_table(run, "samples").to_dict("records"):
        entry, found = entries[row["layout_index"]], []
        for asked in entry.pairs:
            verb = VERBS.get(asked.action, asked.action).replace("_", " ")
            if verb == "lasso":
                continue  # a class that the detector does not know
            if row["method"] != METHODS[0]:
                verb = "push" if verb == "hold" else "hold"
            ends = [entry.layout.instances[k].box for k in (asked.subject, asked.object)]
            human, thing = ([64 * x1, 64 * y1, 64 * x2 - 1, 64 * y2 - 1] for x1, y1, x2, y2 in ends)
            kind = classes.index([verb, entry.labels[asked.object].category])
            found.append({"human": human, "object": thing, "class": kind, "score": 0.6})
        images[row["image"]] = found
    path = folder / "found.json"
    path.write_text(json.dumps({"classes": classes, "rare": [], "images": images, **changed}))
    return path


def of(run: Path, method: str) -> dict[str, Any]:
    metrics = Measured.read(run).metrics
    (row,) = metrics[(metrics.method == method) & (metrics.level == "Avg")].to_dict("records")
    return row


def test_nothing_is_judged_without_them(run: Path) -> None:
    found = Measured.read(run)
    assert found.conditions.empty and not found.info.notes
    assert [line.partition(" are asked")[0] for line in found.info.unjudged] == ["12 interactions", "10 style pictures"]


def test_styles_by_retrieval_fill_their_column(run: Path, judge: ClipStyleJudge, tmp_path: Path) -> None:
    measured = Measured.read(run)
    styles = {one.index: one.style for one in measured.entries}
    for row in measured.samples[measured.samples.method == METHODS[0]].to_dict("records"):
        put_picture(run, row["image"], Path(styles[row["layout_index"]] or ""))  # the very references
    found = record_styles(run, judge, "0123456789abcdef")
    assert of(run, METHODS[0])["style"] == 1 and "action_given_place" not in of(run, METHODS[0])
    info = Measured.read(run).info
    assert info.judge.endswith(", style by CLIP ViT-L/14, CSLS (0123456789ab)")
    count = len(set(found.asked))
    chance = f"of {count} styles chance finds {100 / count:.1f} %"
    assert len(info.notes) == 1 and chance in info.notes[0] and "is not known" in info.notes[0]
    assert [line.partition(" are asked")[0] for line in info.unjudged] == ["12 interactions"]
    write_report(run, tmp_path / "report")
    joint = (tmp_path / "report" / "joint.md").read_text()
    assert re.search(r"\| style +\|", joint) and chance in joint
    assert {"style", "style_low"} <= set(pd.read_csv(tmp_path / "report" / "metrics.csv").columns)
    assert chance in (tmp_path / "report" / "table1.md").read_text()
    assert "of-" in (tmp_path / "report" / "report.html").read_text()


def test_recorded_detections_fill_the_actions_and_the_map(run: Path, tmp_path: Path) -> None:
    file = detections(run, tmp_path)
    done = CliRunner().invoke(app, ["score", str(run), "--interactions", str(file), "--json"])
    assert done.exit_code == 0, done.output
    judged = read_table(run, "full_size_interactions")
    assert json.loads(done.stdout)["interactions"] == len(judged) > 0
    assert (judged.outcome[judged.method == METHODS[0]] == "right").all()
    assert (judged.outcome[judged.method == METHODS[1]] == "other").all()
    assert of(run, METHODS[0])["action_given_place"] == 1 and of(run, METHODS[1])["action_given_place"] == 0
    info = Measured.read(run).info
    assert f"{METHODS[0]} 100.0 / 100.0, {METHODS[1]} 0.0 / 0.0" in info.notes[1] and "is not known" in info.notes[0]
    assert (
        "(default / known object)" in info.notes[1] and "action by recorded detections of interactions (" in info.judge
    )
    left = 12 - len(judged[judged.method == METHODS[0]])
    assert left > 0 and info.unjudged[0].startswith(f"{left} interactions are asked for and not judged: 'lasso'")
    write_report(run, tmp_path / "report")
    page = (tmp_path / "report" / "joint.md").read_text().partition("What became")[2]
    assert re.search(r"\| right +\| *other", page) or re.search(r"right \| +other", page)
    assert pd.read_parquet(tmp_path / "report" / "interactions.parquet").shape[0] == len(judged)


def test_a_picture_in_which_nothing_was_found_has_no_action(run: Path, tmp_path: Path) -> None:
    names = read_table(run, "samples").image
    record_actions(run, detections(run, tmp_path, images={name: [] for name in names}))
    judged = read_table(run, "full_size_interactions")
    assert set(judged.outcome) == {"none"} and judged.found.isna().all()


def test_a_run_with_them_is_whole_and_other_pictures_lose_them(
    run: Path, judge: ClipStyleJudge, tmp_path: Path
) -> None:
    record_actions(run, detections(run, tmp_path))
    record_styles(run, judge, "")
    assert not [one for one in verify_run(run) if "verdicts" in one]
    sample = read_table(run, "samples").to_dict("records")[0]
    with RunStore(run, RunInfo.read(run).settings) as store:
        store.record([sample])  # of another picture: what was said of the one before is gone
    for table in FULL_SIZE_OF.values():
        left = read_table(run, table)
        there = set(zip(left.method, left.layout_index, strict=True))
        assert there and (sample["method"], sample["layout_index"]) not in there


def test_the_command_records_and_the_tables_are_written_again(
    run: Path, judge: ClipStyleJudge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.judges.registry.load_judge", lambda name, *_: {"clip-style": judge}[name])
    (tmp_path / "clip.safetensors").write_bytes(b"weights")
    places = ["--reports", str(tmp_path / "reports")]
    done = CliRunner().invoke(app, ["style", str(run), "--weights", str(tmp_path / "clip.safetensors"), *places])
    assert done.exit_code == 0, done.output
    (recorded,) = RunInfo.read(run).progress.full_size
    assert recorded.of == "style" and recorded.source == sha256(tmp_path / "clip.safetensors")
    assert CliRunner().invoke(app, ["table", str(run), *places]).exit_code == 0
    joint = pd.read_csv(tmp_path / "reports" / "run" / "joint.csv").set_index("method")
    shares = pd.read_csv(tmp_path / "reports" / "run" / "style_retrieval.csv").groupby("method").success.mean()
    assert joint["style"].to_dict() == pytest.approx((100 * shares).to_dict(), abs=1e-3)


def test_when_every_picture_is_made_anew_no_column_is_left(run: Path, judge: ClipStyleJudge, tmp_path: Path) -> None:
    before = Measured.read(run).info
    record_actions(run, detections(run, tmp_path))
    record_styles(run, judge, "")
    with sqlite3.connect(run / "run.sqlite") as database:
        for table in FULL_SIZE_OF.values():
            database.execute(f"DELETE FROM {table}")
    found = Measured.read(run)
    assert found.conditions.empty and found.info.judge == before.judge and found.info.unjudged == before.unjudged
    assert len(found.info.notes) == 2
    assert all("pictures are not judged, and are in no column" in note for note in found.info.notes)


def test_records_of_strangers_do_no_harm(run: Path, judge: ClipStyleJudge, tmp_path: Path) -> None:
    record_actions(run, detections(run, tmp_path))
    record_styles(run, judge, "")
    with sqlite3.connect(run / "run.sqlite") as database:
        database.execute("INSERT INTO full_size_styles VALUES ('other', 99, 7, 'a', 'b', 0, 0)")
        database.execute("UPDATE full_size_interactions SET subject = 9 WHERE method = ?", METHODS[:1])
    found = Measured.read(run)
    assert found.conditions.interactions.empty and len(found.conditions.styles) == 20
    problems = "\n".join(verify_run(run))
    assert problems.count("do not say what their layout says") == 1


def test_a_layout_whose_every_picture_lost_its_verdicts_leaves_the_columns_out(run: Path, tmp_path: Path) -> None:
    record_actions(run, detections(run, tmp_path))
    assert not Measured.read(run).conditions.interactions.empty
    with sqlite3.connect(run / "run.sqlite") as database:
        (index,) = database.execute("SELECT layout_index FROM full_size_interactions LIMIT 1").fetchone()
        database.execute("DELETE FROM full_size_interactions WHERE layout_index = ?", (index,))
    measured = Measured.read(run)
    assert measured.conditions.interactions.empty
    assert any("2 of" in note and "are not judged" in note for note in measured.info.notes)


def test_a_picture_without_verdict_leaves_the_column_out(run: Path, judge: ClipStyleJudge) -> None:
    found = record_styles(run, judge, "")
    with sqlite3.connect(run / "run.sqlite") as database:
        one = "DELETE FROM full_size_styles WHERE method = ? AND layout_index = ?"
        database.execute(one, (METHODS[0], int(found.layout_index[0])))
    info = Measured.read(run).info
    assert info.notes == (
        f"the styles of 1 of {len(found)} pictures are not judged, and are in no column; "
        "`amdm-bench style RUN` judges all",
    )
    assert "style" not in of(run, METHODS[0]) and len(info.unjudged) == 2


def test_pictures_are_judged_while_nobody_changes_them(
    run: Path, judge: ClipStyleJudge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(*_: object) -> None:
        with pytest.raises(InputError, match="is in use by process"), RunStore(run, RunInfo.read(run).settings):
            pass
        raise InterruptedError

    monkeypatch.setattr("bench.stages.full_size.read_stored", change)
    for record in (lambda: record_styles(run, judge, ""), lambda: record_actions(run, detections(run, tmp_path))):
        with pytest.raises(InterruptedError):
            record()


def named(folder: Path, **pictures: str) -> list[str]:
    """Names of the styles of pictures, each of one grey. pictures: by file (``__`` for a folder), the grey."""
    layouts = load_layouts("mini-combined")
    entries = []
    for entry, (file, grey) in zip(layouts.entries, pictures.items(), strict=False):
        path = folder / file.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), grey).save(path)
        entries.append(replace(entry, style=path))
    return list(_style_names(replace(layouts, entries=tuple(entries))).values())


def test_two_style_pictures_of_one_name_are_two_styles(tmp_path: Path) -> None:
    assert named(tmp_path / "a", monet__1_png="red", picasso__1_png="blue", b_png="green") == [
        *("monet/1", "picasso/1", "b")
    ]
    assert named(tmp_path / "b", s__1_png="red", s__1_bmp="blue") == ["1.png", "1.bmp"]
    assert named(tmp_path / "c", x__s__1_png="red", y__s__1_png="blue") == ["x/s/1.png", "y/s/1.png"]


def test_copies_of_a_style_picture_are_one_style(tmp_path: Path) -> None:
    """Else each would be a style of its own, and a picture like them right for one of its layouts alone."""
    assert named(tmp_path / "a", **{"1_png": "red", "2_png": "blue", "3_png": "red"}) == ["1", "2", "1"]
    assert named(tmp_path / "b", **{"1_png": "red", "dots-1_png": "red"}) == ["dots", "dots"]
    assert named(tmp_path / "c", **{"dots_png": "blue", "dots-1_png": "red"}) == ["c/dots", "dots"]


def test_among_one_style_nothing_is_chosen(run_fake_job: JobRunner, judge: ClipStyleJudge, tmp_path: Path) -> None:
    own = own_layouts(tmp_path / "own")
    content = json.loads(own.read_text())
    own.write_text(json.dumps({key: one | {"style": "styles/ref-1.png"} for key, one in content.items()}))
    shutil.copyfile(next((tmp_path / "own" / "styles").iterdir()), tmp_path / "own" / "styles" / "ref-1.png")
    folder = run_fake_job(layouts=str(own), methods=METHODS[:1], limit=5)
    with pytest.raises(InputError, match=r"style: .* layouts own are of one style, 'ref'; it takes two"):
        record_styles(folder, judge, "")
    assert read_table(folder, "full_size_styles").empty


def test_where_a_classifier_judges_its_verdicts_stay(
    run_fake_job: JobRunner, judge: ClipStyleJudge, tmp_path: Path
) -> None:
    folder = run_fake_job(layouts="mini-combined", methods=("migc@combined",), limit=5)
    before = Measured.read(folder).metrics
    assert len(record_styles(folder, judge, "")) and not RunInfo.read(folder).progress.full_size
    pd.testing.assert_frame_equal(Measured.read(folder).metrics, before)
    with pytest.raises(InputError, match="interactions: the run's own judge gives verdicts on those of mini-combined"):
        record_actions(folder, detections(folder, tmp_path))


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a picture is missing": (
        {"images": {"x.png": []}},
        r"images\.images/.*: \d+ pictures of the run are not there",
    ),
    "no class": ({"classes": [["eat", "cake"]]}, r"classes: the layouts .* ask for no interaction of its classes"),
    "no triplet": ({"images": []}, "images: must hold a list of triplets"),
    "another field": ({"more": 1}, "must be one object with the fields classes, rare, images"),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_detections_that_do_not_fit_are_one_line(run: Path, tmp_path: Path, name: str) -> None:
    changed, what = FAULTS[name]
    with pytest.raises(InputError, match=what) as found:
        record_actions(run, detections(run, tmp_path, **changed))
    assert "found.json" in str(found.value) and "\n" not in str(found.value)
    assert not RunInfo.read(run).progress.full_size


def test_another_picture_than_was_recorded_is_not_judged(run: Path, judge: ClipStyleJudge, tmp_path: Path) -> None:
    found = detections(run, tmp_path)
    Image.new("RGB", (64, 64)).save(run / read_table(run, "samples").image[0])
    for record in (lambda: record_styles(run, judge, ""), lambda: record_actions(run, found)):
        with pytest.raises(InputError, match="is not the picture that was recorded"):
            record()

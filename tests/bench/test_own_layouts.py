"""Sets of own words and levels, from pictures to tables: what is judged, and what is said not to be."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from amdm.errors import InputError
from bench.cocomig.metrics import breakdown, metric_table
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.layouts.named import load_layouts
from bench.report.combined import write_combined
from bench.report.measured import Measured
from bench.run.read import read_table
from bench.run.verify import verify_run
from tests.bench.conftest import JobRunner

BOXES = [
    [0.02 + 0.32 * (k % 3), 0.02 + 0.24 * (k // 3), 0.3 + 0.32 * (k % 3), 0.22 + 0.24 * (k // 3)] for k in range(12)
]
COLOURED = ("a red ring", "blue arch")
PLAIN = ("the ring", "the circle")


def own_set(path: Path, *layouts: tuple[str, ...]) -> Path:
    content = {
        str(k): {
            "caption": "c",
            "segment": [{"label": text, "bbox": box} for text, box in zip(own, BOXES, strict=False)],
        }
        for k, own in enumerate(layouts)
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The painter finds colours in the second word; here labels have none, or no article."""
    import tests.bench.fakes as fakes

    class Colours(dict[str, tuple[int, int, int]]):
        def __missing__(self, _: str) -> tuple[int, int, int]:
            return fakes.RGB["blue"]

    monkeypatch.setattr(fakes, "RGB", Colours(fakes.RGB))


def test_what_names_no_colour_counts_by_its_place_and_every_table_says_so(
    painted: None, run_fake_job: JobRunner, tmp_path: Path
) -> None:
    path = own_set(tmp_path / "own.json", COLOURED, PLAIN, ("a white ring",), PLAIN * 6)
    folder = run_fake_job(layouts=str(path), methods=("migc",), limit=None)
    verdicts = read_table(folder, "verdicts")
    assert len(verdicts) == 2 + 2 + 1 + 12 and set(verdicts.level) == {1, 2, 12}
    plain = verdicts[verdicts.colour == ""]
    assert len(plain) == 14 and (plain.attr == plain.success).all() and plain.mask_px.isna().all()
    assert set(plain.category) == {"ring", "circle"}
    average = metric_table(verdicts).query("level == 'Avg'").iloc[0]
    coloured = verdicts[(verdicts.colour != "") & (verdicts.success == 1)]
    assert average.colour_given_place == pytest.approx(coloured.attr.mean()) != average.isr
    by_colour = breakdown(verdicts, "colour").set_index("colour")
    assert by_colour.instances["none named"] == 14 and pd.isna(by_colour.colour_given_place["none named"])
    note = "14 of 17 instances name no colour that can be judged, and count by their place alone"
    report = tmp_path / "reports" / "run"
    assert f"**{note}" in (report / "table1.md").read_text() and note in (report / "table1.tex").read_text()
    page = (report / "report.html").read_text()
    assert note in page.split("What the verdicts are of")[1] and "<strong>Missing" not in page
    assert json.loads((report / "summary.json").read_text())["notes"][0].startswith(note)
    write_combined([Measured.read(folder)], tmp_path / "all", False)
    assert note in (tmp_path / "all" / "combined.tex").read_text()
    assert f"- **{note}" in (tmp_path / "all" / "combined.md").read_text()
    assert "ISR L12" in (report / "table1.csv").read_text() and "ceiling" not in set(verdicts.method)


@pytest.mark.parametrize(
    "forged", ["attr = 0 WHERE colour = '' AND attr = 1", "mask_px = 9, hit_px = 9 WHERE colour = ''"]
)
def test_a_run_whose_labels_name_no_colour_is_whole_and_a_forged_one_is_not(
    painted: None, run_fake_job: JobRunner, tmp_path: Path, forged: str
) -> None:
    path = own_set(tmp_path / "own.json", COLOURED, PLAIN * 6)
    folder = run_fake_job(layouts=str(path), methods=("migc",), limit=None)
    assert (read_table(folder, "verdicts").query("colour == ''").success == 1).any() and verify_run(folder) == []
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute(f"UPDATE verdicts SET {forged}")
    assert "verdicts that no measurement gives" in " ".join(verify_run(folder))


def test_what_the_judge_or_a_model_cannot_hold_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    strange = load_layouts(own_set(tmp_path / "own.json", ("a red dragon",)))
    assert strange.vocabulary.name == "own" and "'dragon'" in strange.notes[0]
    many = own_set(tmp_path / "many.json", COLOURED * 4)
    job = Job("mini", str(many), ("migc", "interactdiffusion"), (0,), 4)
    with pytest.raises(InputError, match=r"methods\.interactdiffusion: takes 6 instances .* many asks for 8 \(0\)"):
        Plan.resolve(job).batches  # noqa: B018
    assert len(Plan.resolve(Job("mini", str(many), ("migc",), (0,), 4)).batches) == 2  # with true renderings

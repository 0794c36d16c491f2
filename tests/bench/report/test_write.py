from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from bench.layouts.layout_set import balanced
from bench.report.measured import Measured
from bench.report.write import GAP, HEADER, MARGIN, TILE, picture_grid, write_measured
from tests.bench.conftest import JobRunner
from tests.bench.fakes import GROUND, paint, small_set


def test_entries_are_balanced_over_levels() -> None:
    chosen = balanced(small_set(50).entries, 10)
    assert Counter(entry.level for entry in chosen) == dict.fromkeys((2, 3, 4, 5, 6), 2)
    assert [entry.level for entry in chosen] == sorted(entry.level for entry in chosen)
    assert len(balanced(small_set(5).entries, 10)) == 5


def test_a_shards_tables_are_of_the_layouts_that_were_dealt_to_it(run_fake_job: JobRunner, tmp_path: Path) -> None:
    runs = [Measured.read(run_fake_job(f"part{i}", shard=(i, 2))) for i in (1, 2)]
    for run in runs:
        held = run.samples.layout_index.unique().tolist()
        assert sorted(held) == [entry.index for entry in run.entries] and run.info.count == len(held) < 25
        assert set(run.table1.n) == set(run.table1.expected) == {len(held)}
        assert f"{len(held)} of {run.info.full_size} layouts" in run.info.measured_on
    assert sum(run.info.count for run in runs) == 25
    page = (tmp_path / "reports" / "part1" / "table1.md").read_text(encoding="utf-8")
    assert "## Missing" not in page  # what others draw is not missing here


def test_a_torn_picture_takes_its_place_alone(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run = Measured.read(run_fake_job())
    first = run.samples[run.samples.layout_index == balanced(run.entries)[0].index].iloc[0]
    (run.folder / first.image).write_bytes(b"torn")
    write_measured(run, tmp_path / "again")
    page = (tmp_path / "again" / "report.html").read_text(encoding="utf-8")
    assert page.count("the picture cannot be shown") == 1 and (tmp_path / "again" / "grid.png").is_file()


def test_nothing_is_left_of_verdicts_on_actions_that_are_gone(run_fake_job: JobRunner, tmp_path: Path) -> None:
    report = tmp_path / "again"
    report.mkdir()
    for name in ("joint.md", "joint_contrasts.csv", "styles.parquet"):
        (report / name).write_text("of another run")
    write_measured(Measured.read(run_fake_job()), report)
    assert not {"joint.md", "joint_contrasts.csv", "styles.parquet"} & {path.name for path in report.iterdir()}


def test_every_method_shows_the_same_layouts_with_their_boxes() -> None:
    entries = balanced(small_set().entries, 5)
    images = paint("ceiling", [entry.layout for entry in entries], [entry.key for entry in entries]).images
    rows = {
        "migc": dict(zip([entry.index for entry in entries], images, strict=True)),
        "partial+method@x": {entries[0].index: np.full((64, 64, 3), GROUND, np.uint8)},
    }
    sheet = np.asarray(picture_grid(rows, entries))
    assert sheet.shape == (HEADER + 3 * (TILE + GAP), MARGIN + 5 * (TILE + GAP), 3)
    for column, (entry, image) in enumerate(zip(entries, images, strict=True)):
        left, top = MARGIN + column * (TILE + GAP), HEADER + TILE + GAP
        tile = sheet[top : top + TILE, left : left + TILE]
        boxes = (tile == (255, 0, 255)).all(-1)
        assert boxes.any()
        np.testing.assert_array_equal(tile[~boxes], image.repeat(3, 0).repeat(3, 1)[~boxes])
        x1, y1, _, _ = (round(value * (TILE - 1)) for value in entry.layout.instances[0].box)
        assert boxes[max(0, y1 - 1) : y1 + 2, max(0, x1 - 1) : x1 + 2].any()
    empty = sheet[HEADER + 2 * (TILE + GAP) : HEADER + 2 * (TILE + GAP) + TILE, MARGIN + TILE + GAP :]
    assert (empty == 255).all()

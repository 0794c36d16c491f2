"""The check against published figures: it agrees with what equals them, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from amdm.errors import InputError
from bench.cli.main import main
from bench.cocomig.metrics import AVERAGE
from bench.run.schema import VERDICT_COLUMNS
from bench.studies.check_authors import FOLDER_ID, PUBLISHED, compare_with_published, fetch_pictures


def verdicts(pictures: int = 800, off: float = 0.0) -> pd.DataFrame:
    """160 pictures a level whose rates are the published ones; ``off`` is added to the mIoU."""
    rows = []
    for index in range(pictures):
        level = 2 + index % 5
        share = PUBLISHED[f"L{level}", "isr"]
        for k in range(level):
            number = (index // 5) * level + k
            hit = int((number + 1) * share + 1e-6) > int(number * share + 1e-6)
            row = dict.fromkeys(VERDICT_COLUMNS, 0)
            own = {"method": "m", "layout_index": index, "seed": 42, "level": level, "instance": k, "colour": "red"}
            row |= own | {"category": "cup", "detected": 1, "success": int(hit), "attr": int(hit), "failure": "none"}
            rows.append(row | {"iou": 0.6, "miou": PUBLISHED[AVERAGE, "miou"] + off})
    return pd.DataFrame(rows)[list(VERDICT_COLUMNS)]


def test_the_published_figures_agree_with_themselves() -> None:
    check = compare_with_published(verdicts())
    assert check.passed, check.report
    assert check.report.count("| yes") == len(PUBLISHED)


def test_half_a_point_is_the_limit_and_every_picture_counts() -> None:
    assert compare_with_published(verdicts(off=0.0049)).passed
    off = compare_with_published(verdicts(off=0.0051))
    assert not off.passed and "**no**" in off.report and "**does not agree with**" in off.report
    short = compare_with_published(verdicts(pictures=795))
    assert not short.passed and "795 of 800" in short.report
    assert not compare_with_published(verdicts(pictures=3)).passed


def test_when_drive_refuses_the_way_by_hand_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("Failed to retrieve folder contents")

    for answer in (refuse, lambda **_: []):
        monkeypatch.setattr("gdown.download_folder", answer)
        with pytest.raises(InputError, match=FOLDER_ID):
            fetch_pictures(tmp_path / "pictures")


def test_nothing_is_fetched_where_layouts_or_weights_are_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AMDM_COCO_MIG_DIR", str(tmp_path))
    monkeypatch.setattr("gdown.download_folder", lambda **_: pytest.fail("fetched"))
    monkeypatch.setattr("sys.argv", ["amdm-bench", "check-authors", "--weights-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and "layouts fetch" in capsys.readouterr().err

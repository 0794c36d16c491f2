"""The judges are right on held-out renderings, also through the autoencoder; the stored tables say so, too."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from amdm.mini.models import WEIGHTS
from amdm.mini.sizes import build_vae
from amdm.mini.vocabulary import STYLES
from bench.judges.accuracy import ACTION_CLASSES, CONDITIONS, accuracy, confusion_tables, held_out_case
from bench.judges.action import ActionJudge
from bench.judges.style import StyleJudge

ROOT = Path(__file__).resolve().parents[3]
LEAST = 0.97
Tables = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def few() -> Tables:
    vae = build_vae().requires_grad_(False).eval()
    vae.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS / "vae.safetensors").items()})
    return confusion_tables(ActionJudge.load(), StyleJudge.load(), vae, 200)


@pytest.fixture(scope="module")
def stored() -> Tables:
    return tuple(pd.read_csv(ROOT / "reports" / "judges" / f"{name}.csv") for name in ("action", "style"))


def test_both_are_right_on_renderings(few: Tables) -> None:
    for table in few:
        by_condition = accuracy(table, ["pictures"]).set_index("pictures")
        assert by_condition["right"].min() >= LEAST, by_condition
        assert set(by_condition.index) >= set(CONDITIONS) and by_condition["n"].min() >= 200


def test_the_stored_tables_hold_the_bounds(stored: Tables) -> None:
    actions, styles = stored
    assert set(actions["truth"]) == set(ACTION_CLASSES) and set(styles["truth"]) == set(STYLES)
    for table, kind in ((actions, "pair"), (styles, "mark")):
        found = accuracy(table, ["pictures", kind])
        assert found["right"].min() >= LEAST and found["n"].min() >= 1500, found
    pictures = styles.groupby(["pictures", "mark"])["n"].sum()
    assert pictures.min() >= 2000


def test_the_stored_page_is_of_the_stored_tables(stored: Tables) -> None:
    report = runpy.run_path(str(ROOT / "scripts" / "judge_accuracy.py"))["report"]
    assert (ROOT / "reports" / "judges" / "accuracy.md").read_text(encoding="utf-8") == report(*stored)


def test_a_wrong_judge_is_told(few: Tables) -> None:
    actions = few[0].replace({"found": {"pushes": "pushes reversed", "pushes reversed": "pushes"}})
    found = accuracy(actions, ["truth"]).set_index("truth")["right"]
    assert found[["pushes", "pushes reversed"]].max() <= 0.05 and found["none"] >= LEAST


def test_a_case_is_the_same_each_time() -> None:
    one, again, other = held_out_case(3), held_out_case(3), held_out_case(4)
    assert (one.image == again.image).all() and one.scene == again.scene and one.idle == again.idle
    assert other.scene != one.scene and one.scene.actions and (one.image != one.erased).any()

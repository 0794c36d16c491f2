"""Metrics: hand-counted tables, the recorded official aggregation, intervals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amdm.errors import InputError
from bench.cocomig.metrics import (
    JOINT,
    METRICS,
    breakdown,
    estimates,
    image_sums,
    metric_table,
    over_seeds,
    paired,
)
from bench.cocomig.verdict import failure
from bench.layouts.readers import read_json


def table(outcomes: dict[int, str], method: str = "m", seed: int = 0, area: float = 0.1) -> pd.DataFrame:
    """Verdicts by layout index, a letter an instance: c correct, w wrong colour, p wrong place (IoU 0.2), n nothing."""
    rows = []
    for index, letters in outcomes.items():
        for k, letter in enumerate(letters):
            found, placed, correct = letter != "n", letter in "cw", letter == "c"
            iou = {"c": 0.8, "w": 0.8, "p": 0.2, "n": 0.0}[letter]
            miou = 0.0 if letter == "w" else iou
            colour = "red" if k == 0 else "blue"
            rows.append((method, index, seed, len(letters), k, colour, "cat", area, found, iou, placed, correct, miou))
    names = "method layout_index seed level instance colour category box_area detected iou success attr miou"
    return pd.DataFrame(rows, columns=names.split())


EXAMPLE = {0: "cc", 1: "cw", 2: "pnc"}


def test_hand_counted() -> None:
    rows = metric_table(table(EXAMPLE), intervals=False).set_index("level")
    assert list(rows.index) == ["L2", "L3", "Avg"]
    assert rows.loc["Avg", ["images", "instances"]].tolist() == [3, 7]
    average = rows.loc["Avg"]
    assert average.isr == pytest.approx(4 / 7)
    assert average.miou == pytest.approx((4 * 0.8 + 0.2) / 7)
    assert average.iou == pytest.approx((5 * 0.8 + 0.2) / 7)
    assert average.image_success == pytest.approx(1 / 3)
    assert average.place == pytest.approx(5 / 7)
    assert average.colour_given_place == pytest.approx(4 / 5)
    assert (average.nothing_detected, average.wrong_place, average.wrong_colour) == pytest.approx((1 / 7, 1 / 7, 1 / 7))
    assert rows.loc["L2", "isr"] == 0.75 and rows.loc["L3", "isr"] == pytest.approx(1 / 3)


def test_parts_sum_to_one_and_agree_with_the_verdicts() -> None:
    verdicts = table(EXAMPLE)
    average = metric_table(verdicts, intervals=False).iloc[-1]
    kinds = ["nothing_detected", "wrong_place", "wrong_colour"]
    assert average.isr + average[kinds].sum() == pytest.approx(1)
    flags = zip(verdicts.detected, verdicts.success, verdicts.attr, strict=True)
    split = pd.Series([failure(*one) for one in flags]).value_counts(normalize=True)
    for kind in kinds:
        assert average[kind] == pytest.approx(split[kind])


def test_success_counts_place_and_colour() -> None:
    verdicts = table({0: "cc"}).assign(success=[False, True])
    assert metric_table(verdicts, intervals=False).iloc[-1].isr == 0.5


def test_recorded_aggregation(evaluator_dir: Path, coco_mig_dir: Path) -> None:
    entries = read_json(coco_mig_dir / "mig_bench.json", "coco-mig-amdm").entries
    level = np.concatenate([np.full(entry.level, entry.level) for entry in entries])
    index = np.concatenate([np.full(entry.level, entry.index) for entry in entries])
    instance = np.concatenate([np.arange(entry.level) for entry in entries])
    arrays = np.load(evaluator_dir / "aggregate_tables.npz", allow_pickle=False)
    recorded = json.loads((evaluator_dir / "aggregate_results.json").read_text())["tables"]
    assert recorded
    for case in recorded:
        name, expected = case["name"], case["result"]
        whole = pd.DataFrame({"method": name, "layout_index": index, "seed": 0, "level": level, "instance": instance})
        whole = whole.assign(colour="red", category="cat", box_area=0.1, detected=True, iou=0.5)
        whole = whole.assign(**{column: arrays[f"{name}_{column}"] for column in ("success", "attr", "miou")})
        rows = metric_table(whole[whole.layout_index.isin(arrays[f"{name}_image"])], intervals=False).set_index("level")
        assert rows.loc["Avg", ["images", "instances"]].tolist() == [case["images"], case["instances"]], name
        for ours, theirs in (("image_success", "image_success"), ("isr", "instance_success"), ("miou", "miou")):
            assert abs(rows.loc["Avg", ours] - expected[theirs]) <= 1e-12, (name, ours)
            for k, value in enumerate(expected[f"{theirs}_level"]):
                assert abs(rows.loc[f"L{k + 2}", ours] - value) <= 1e-12, (name, ours, k)


def test_breakdown() -> None:
    colours = breakdown(table(EXAMPLE), "colour").set_index("colour")
    assert colours.loc["red", "isr"] == pytest.approx(2 / 3) and colours.loc["red", "instances"] == 3
    assert colours.loc["blue", "isr"] == pytest.approx(2 / 4)
    assert "image_success" not in colours
    sized = pd.concat([table({0: "cc"}, area=0.05), table({1: "pp"}, area=0.04), table({2: "cp"}, area=0.2)])
    sizes = breakdown(sized, "size").set_index("size")["isr"]
    assert sizes.to_dict() == {"small": 0.0, "medium": 1.0, "large": 0.5}


def test_seeds() -> None:
    sums = image_sums(pd.concat([table({0: "cc"}, seed=1), table({0: "cp"}, seed=2)]))
    rows = over_seeds(sums).set_index("level")
    assert rows.loc["Avg", ["seeds", "isr_mean"]].tolist() == [2, 0.75]
    assert rows.loc["Avg", "isr_std"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert np.isnan(over_seeds(image_sums(table({0: "cc"}))).iloc[0].isr_std)


def random_table(rate: float, method: str, seed: int, count: int = 300) -> pd.DataFrame:
    """Images that succeed or fail as a whole: the strongest dependence inside an image."""
    rng = np.random.default_rng(seed)
    return table({k: ("c" if rng.random() < rate else "p") * 4 for k in range(count)}, method)


def test_interval_is_over_images() -> None:
    isr = estimates(image_sums(random_table(0.6, "m", 1)))["isr"]
    error = np.sqrt(isr.value * (1 - isr.value) / 300)  # of 300 images, not of 1200 instances
    assert isr.high - isr.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert isr.low < isr.value < isr.high


def test_interval_covers() -> None:
    covered = [
        one.low <= 0.6 <= one.high
        for one in (estimates(image_sums(random_table(0.6, "m", k, 100)))["isr"] for k in range(60))
    ]
    assert np.mean(covered) >= 0.85


def test_ten_black_pictures_are_not_certainly_zero() -> None:
    average = metric_table(table(dict.fromkeys(range(10), "nn"))).iloc[-1]
    for name in ("isr", "miou", "iou", "image_success", "place"):
        assert (average[name], average[f"{name}_low"]) == (0, 0) and 0.2 < average[f"{name}_high"] < 0.35, name
    assert average.nothing_detected_high == 1 and 0.65 < average.nothing_detected_low < 0.8
    alone = metric_table(table({0: "nn"})).iloc[-1]
    assert alone.isr == 0 and np.isnan([alone.isr_low, alone.isr_high]).all()


def test_seeds_of_a_layout_are_drawn_together() -> None:
    once = random_table(0.6, "m", 1)
    thrice = pd.concat([once.assign(seed=k) for k in range(3)])
    assert estimates(image_sums(thrice))["isr"] == pytest.approx(estimates(image_sums(once))["isr"])


def test_paired_difference() -> None:
    first = random_table(0.6, "a", 1)
    second = first.assign(method="b")
    same = paired(image_sums(pd.concat([first, second])), "a", "b")["isr"]
    assert same[0] == 0 and same[3:] == (300, 0)
    assert same.low == -same.high and 0.005 < same.high < 0.012  # 300 layouts leave room for rare differences
    second.loc[second.layout_index < 30, ["success", "attr"]] = False
    fewer = second[second.layout_index < 290]
    worse = paired(image_sums(pd.concat([first, fewer])), "a", "b")["isr"]
    assert 0 < worse.low < worse.value < worse.high < 0.12
    assert (worse.pairs, worse.unpaired) == (290, 10)
    independent = paired(image_sums(pd.concat([first, random_table(0.6, "b", 2)])), "a", "b")["isr"]
    assert independent.high - independent.low > 2 * (worse.high - worse.low)


def test_same_numbers_every_time() -> None:
    verdicts = random_table(0.5, "m", 3, 50)
    pd.testing.assert_frame_equal(metric_table(verdicts), metric_table(verdicts.sample(frac=1, random_state=1)))
    assert {f"{metric}_low" for metric in METRICS.keys() - set(JOINT)} <= set(metric_table(verdicts))


def test_undefined_is_nan() -> None:
    row = metric_table(table({0: "pp", 1: "pn"})).iloc[-1]
    assert np.isnan([row.colour_given_place, row.colour_given_place_low]).all() and row.isr == 0


@pytest.mark.parametrize(
    ("verdicts", "message"),
    [
        (table(EXAMPLE).drop(columns="attr"), "attr: missing column"),
        (table(EXAMPLE).iloc[1:], "level: 1 verdicts on an image of 2 instances"),
        (pd.concat([table({0: "cc"})] * 2), "two verdicts on one instance"),
        (table(EXAMPLE).assign(miou=np.nan), "miou: not a finite number"),
        (table(EXAMPLE).assign(iou=np.inf), "iou: not a finite number"),
    ],
)
def test_bad_tables(verdicts: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        metric_table(verdicts)


def test_unknown_methods() -> None:
    with pytest.raises(InputError, match="no verdicts of 'b'"):
        paired(image_sums(table(EXAMPLE, "a")), "a", "b")
    with pytest.raises(InputError, match="no sample in common"):
        paired(image_sums(pd.concat([table({0: "cc"}, "a"), table({1: "cc"}, "b")])), "a", "b")

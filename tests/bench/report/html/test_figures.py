"""Which values the charts show, counted by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.cocomig.finding import UNNAMED
from bench.cocomig.intervals import ratio_interval
from bench.cocomig.metrics import JOINT, METRICS, image_sums, metric_table
from bench.report.html.figures import by_level, by_size, confusions, fates, paired_forests, styles

Case = tuple[str, float, str]
"""How an instance ends (right, colour, place, nothing), its box's share, the colour found."""


def tables(**methods: list[list[Case]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Verdicts and findings of layouts of two instances, all asked for in red."""
    verdicts, findings = list[dict[str, Any]](), list[dict[str, Any]]()
    for method, layouts in methods.items():
        for index, layout in enumerate(layouts):
            for k, (end, area, colour) in enumerate(layout):
                key = {"method": method, "layout_index": index, "seed": 0, "instance": k}
                placed, detected = end in ("right", "colour"), end != "nothing"
                iou = 0.8 if placed else 0.2 * detected
                verdict = {"detected": int(detected), "iou": iou, "success": int(placed), "attr": int(end == "right")}
                about = {"level": 2, "colour": "red", "category": "ring", "box_area": area}
                verdicts.append({**key, **about, **verdict, "miou": 0.0 if end == "colour" else iou})
                findings.append({**key, "found_colour": colour if placed else None, "found_share": 0.9})
    return pd.DataFrame(verdicts), pd.DataFrame(findings)


RIGHT, BLUE, OTHER = ("right", 0.1, "red"), ("colour", 0.1, "blue"), ("colour", 0.1, UNNAMED)
LOST, NOTHING = ("place", 0.3, ""), ("nothing", 0.1, "")


def test_confusion_counts_what_is_in_place_by_colour_found() -> None:
    verdicts, findings = tables(a=[[RIGHT, BLUE], [BLUE, LOST]], b=[[RIGHT, RIGHT], [OTHER, NOTHING]])
    first, second = confusions(verdicts, findings, ["a", "b"])
    assert first.asked == ("red",) and first.found == ("red", "blue", UNNAMED)
    assert (first.counts, second.counts) == (((1, 2, 0),), ((2, 0, 1),))
    assert second.shares[0] == pytest.approx((2 / 3, 0, 1 / 3))
    metrics = metric_table(verdicts).query("level == 'Avg'").set_index("method")
    assert second.shares[0][0] == pytest.approx(metrics.colour_given_place["b"])  # the diagonal is the metric
    assert first.says == "red, found red 1, blue 2"


def test_there_is_no_confusion_without_findings_and_strange_ones_do_not_count() -> None:
    verdicts, findings = tables(a=[[RIGHT, BLUE]])
    assert confusions(verdicts, findings.iloc[:0], ["a"]) == []
    findings.loc[1, "found_colour"] = "<script>"
    assert confusions(verdicts, findings, ["a"])[0].counts == ((1, 0),)


def test_sizes_have_the_success_of_their_instances_and_intervals_over_layouts() -> None:
    small, large = ("right", 0.03, "red"), ("place", 0.3, "")
    verdicts, _ = tables(a=[[small, large], [small, RIGHT], [("nothing", 0.03, ""), large]])
    isr, place = by_size(verdicts, ["a"])
    assert [tick.text for tick in isr.across] == ["2–5 %", "10–20 %", "20–40 %"]
    assert isr.title == "ISR" and place.title == "place"
    low, high = (
        100 * float(one) for one in ratio_interval(pd.Series([1, 1, 0]).to_numpy(), pd.Series([1, 1, 1]).to_numpy())
    )
    assert isr.series[0].marks[0].says == f"a, 2–5 %: 66.7 ({low:.1f}–{high:.1f})"
    assert [mark.says.split(":")[1].split()[0] for mark in isr.series[0].marks] == ["66.7", "100.0", "0.0"]


def test_every_metric_has_its_levels_the_tables_first() -> None:
    verdicts, _ = tables(a=[[RIGHT, BLUE], [RIGHT, RIGHT]])
    charts = by_level(metric_table(verdicts), ["a"])
    assert [chart.title for usual, chart in charts if usual] == ["ISR", "mIoU"]
    assert {chart.title for _, chart in charts} == {one.label for one in METRICS.values() if one.name not in JOINT}
    assert all([tick.text for tick in chart.across] == ["L2", "Avg"] for _, chart in charts)


def test_fates_add_up() -> None:
    verdicts, _ = tables(a=[[RIGHT, BLUE], [LOST, NOTHING]])
    (fate,) = fates(metric_table(verdicts), ["a", "never ran"])
    assert [(bar.kind, bar.width) for bar in fate.bars] == [
        *(("right", 25), ("wrong_colour", 25)),
        *(("wrong_place", 25), ("nothing", 25)),
    ]


def test_two_methods_have_one_difference_and_three_have_all_pairs() -> None:
    two, _ = tables(a=[[BLUE, BLUE]] * 3, b=[[RIGHT, RIGHT]] * 3)
    (isr, _), comparisons = paired_forests(image_sums(two), ["a", "b"])
    assert comparisons == 1 and [row.name for row in isr.rows] == ["b − a"] and isr.rows[0].text.startswith("+100.00")
    three, _ = tables(a=[[BLUE, BLUE]] * 3, b=[[RIGHT, RIGHT]] * 3, c=[[RIGHT, BLUE]] * 3)
    (isr, _), comparisons = paired_forests(image_sums(three), ["a", "b", "c"])
    assert comparisons == 3 and [row.name for row in isr.rows] == ["b − a", "c − a", "c − b"]
    assert paired_forests(image_sums(two), ["a"]) == ([], 0)


def test_the_ceiling_has_a_style_of_its_own() -> None:
    assert styles(["a", "b", "ceiling"]) == {"a": 0, "b": 1, "ceiling": None}

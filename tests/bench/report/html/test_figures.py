"""Which values the charts show, counted by hand, and their geometry."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.cocomig.finding import UNNAMED
from bench.cocomig.intervals import ratio_interval
from bench.cocomig.metrics import JOINT, METRICS, Estimate, image_sums, metric_table
from bench.report.html.figures import (
    BOTTOM,
    HEIGHT,
    TOP,
    WIDTH,
    by_level,
    by_size,
    confusions,
    fates,
    forest,
    over_places,
    paired_forests,
    stacked,
    styles,
)

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
    found = fates(metric_table(verdicts), ["a", "never ran"])
    assert list(found) == ["a"] and [(bar.kind, bar.width) for bar in found["a"]] == [
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


NAN = float("nan")
STYLES = {"a": 0, "b": 1, "ceiling": None}


def test_a_value_stands_at_its_height_with_its_interval() -> None:
    values = {"a": {"L2": Estimate(0.5, 0.25, 1.0)}, "b": {"L2": Estimate(0.0, NAN, NAN)}}
    chart = over_places("ISR", ["L2"], values, STYLES)
    floor, ceiling = HEIGHT - BOTTOM, TOP
    (mark,), (other,) = chart.series[0].marks, chart.series[1].marks
    assert (mark.y, mark.low, mark.high) == ((floor + ceiling) / 2, floor - 0.25 * (floor - ceiling), ceiling)
    assert (other.y, other.low, other.high) == (floor, None, None)
    assert [tick.text for tick in chart.up] == ["0", "25", "50", "75", "100"]
    assert "a, L2: 50.0 (25.0–100.0)" in chart.says


def test_methods_stand_side_by_side_in_order_and_inside() -> None:
    one = Estimate(0.3, 0.2, 0.4)
    chart = over_places("ISR", ["L2", "L3"], {name: {"L2": one, "L3": one} for name in STYLES}, STYLES)
    places = [mark.x for k in (0, 1) for mark in (series.marks[k] for series in chart.series)]
    assert places == sorted(places) and places[0] > 0 and places[-1] < WIDTH
    assert [series.style for series in chart.series] == [0, 1, None]
    assert [tick.text for tick in chart.up][-1] == "40"  # the axis ends above the highest interval


def test_what_is_not_known_has_no_mark_and_an_average_no_line() -> None:
    values = {"a": {"L2": Estimate(0.2, 0.1, 0.3), "L3": Estimate(NAN, NAN, NAN), "Avg": Estimate(0.2, 0.1, 0.3)}}
    (series, *others) = over_places("ISR", ["L2", "L3", "Avg"], values, STYLES, "Avg").series
    assert len(series.marks) == 2 and len(series.line.split()) == 1
    assert all(not other.marks for other in others)


def test_parts_of_a_bar_follow_each_other() -> None:
    bars = stacked([("right", 0.5), ("wrong_place", math.nan), ("nothing", 0.25)])
    assert [(bar.x, bar.width) for bar in bars] == [(0, 50), (50, 0), (50, 25)]


def test_differences_stand_around_zero_and_those_without_it_are_sure() -> None:
    drawn = forest("ISR", [("b − a", Estimate(0.1, 0.05, 0.15), "x"), ("c − a", Estimate(0.1, -0.05, 0.2), "y")])
    sure, unsure = drawn.rows
    assert sure.sure and not unsure.sure
    assert sure.at == unsure.at > drawn.zero and unsure.low is not None and unsure.low < drawn.zero
    assert sure.at - drawn.zero == pytest.approx((drawn.ticks[2].at - drawn.zero) / 2) and drawn.ticks[2].text == "+20"
    lone = forest("ISR", [("b − a", Estimate(0.1, NAN, NAN), "x")]).rows[0]
    assert (lone.low, lone.high, lone.sure) == (None, None, False)

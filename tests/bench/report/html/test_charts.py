"""Geometry of charts, by hand."""

from __future__ import annotations

import math

import pytest

from bench.cocomig.metrics import Estimate
from bench.report.html.charts import BOTTOM, HEIGHT, TOP, WIDTH, forest, over_places, stacked

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

"""Pictures in rows and columns, boxes and labels; the paper's qualitative figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from amdm.errors import InputError
from bench.layouts.named import load_layouts
from bench.report.measured import Measured, together
from bench.report.plots.samples import (
    LETTER,
    LINE,
    Samples,
    draw_figure,
    draw_samples,
    example_entry,
    label_place,
    methods_of,
    read_samples,
)
from bench.run.images import read_image
from tests.bench.fakes import small_set


def test_rows_are_methods_and_columns_the_keys_in_their_order(run_measured: Callable[..., Measured]) -> None:
    run = run_measured()
    found = read_samples(together([run]), ["17", "3"])
    assert [entry.key for entry in found.columns] == ["17", "3"]
    assert list(found.rows) == ["InteractDiffusion", "MIGC", "Ceiling"]
    row = run.samples[(run.samples.method == "migc") & (run.samples.layout_index == 17)].iloc[0]
    np.testing.assert_array_equal(found.rows["MIGC"][17], read_image(run.folder / row.image))
    figure = draw_samples(found)
    axes = np.array(figure.axes).reshape(4, 2)
    np.testing.assert_array_equal(axes[2, 0].images[0].get_array(), found.rows["MIGC"][17])
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["layout", "InteractDiffusion", "MIGC", "Ceiling"]
    assert [ax.get_title() for ax in axes[0]] == ["#17", "#3"]
    entry = found.columns[0]
    assert sorted(text.get_text() for text in axes[0, 0].texts) == sorted(i.phrase for i in entry.layout.instances)
    for ax in axes[:, 0]:
        boxes = {(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in ax.patches}
        x1, y1, x2, y2 = entry.layout.instances[0].box
        assert len(boxes) == entry.level and (x1, y1, x2 - x1, y2 - y1) in boxes
        colours = [tuple(patch.get_edgecolor()[:3]) for patch in ax.patches]
        assert {(0, 0, 0), (1, 1, 1)} < set(colours)  # seen on a white ground and on a black one


def test_what_is_not_there_is_said_in_its_place(run_measured: Callable[..., Measured]) -> None:
    run = run_measured()
    failed = run.samples.assign(status=["failed" if k == 0 else "ok" for k in range(len(run.samples))])
    first = failed.iloc[0]
    (run.folder / run.samples[run.samples.layout_index == 1].iloc[0].image).unlink()
    found = read_samples(together([replace(run, samples=failed)]), ["0", "1"])
    assert found.rows["Ceiling" if first.method == "ceiling" else first.method][int(first.layout_index)] == "failed"
    figure = draw_samples(Samples(found.columns, {"a": {0: "failed"}}))
    assert [text.get_text() for ax in figure.axes[2:] for text in ax.texts] == ["failed", "not drawn"]
    with pytest.raises(InputError, match="keys: unknown key of these layouts '999'"):
        read_samples(together([run]), ["999"])
    with pytest.raises(InputError, match="seed: unknown seed of these runs '7'"):
        read_samples(together([run]), None, 7)


def test_without_keys_a_few_balanced_over_the_levels(run_measured: Callable[..., Measured]) -> None:
    assert [entry.level for entry in read_samples(together([run_measured()]), None).columns] == [2, 3, 4, 5]


def test_styles_and_interactions_are_shown() -> None:
    entry = load_layouts("mini-combined").entries[0]
    figure = draw_samples(Samples((entry,), {}))
    (one,) = entry.layout.interactions[:1]
    assert f"{one.subject.phrase} {one.action} {one.object.phrase}" in figure.axes[0].get_title()
    assert figure.axes[1].get_ylabel() == "style" and figure.axes[1].images[0].get_array().shape == (64, 64, 3)


def test_labels_do_not_lie_on_each_other_nor_outside() -> None:
    for entry in small_set(100).entries:
        taken: list[tuple[float, float, float, float]] = []
        for one in entry.layout.instances:
            place = label_place(one.box, len(one.phrase), taken)
            x1, y1, x2, y2 = taken[-1]
            assert (x1, y1) == place and 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1
            assert x2 - x1 >= LETTER * len(one.phrase) and y2 - y1 == pytest.approx(LINE)
        assert not overlapping(taken)


def test_labels_as_they_are_drawn_are_apart_and_on_the_picture() -> None:
    """Their letters and lines are as large as their places are reckoned."""
    for entry in [one for one in small_set(100).entries if one.level == 6][:5]:
        figure = draw_samples(Samples((entry,), {}))
        figure.canvas.draw()
        ax = figure.axes[0]
        drawn = [text.get_window_extent().transformed(ax.transAxes.inverted()) for text in ax.texts]
        assert len(drawn) == 6
        boxes = [(one.x0, 1 - one.y1, one.x1, 1 - one.y0) for one in drawn]
        assert min(min(box) for box in boxes) >= 0 and max(max(box) for box in boxes) <= 1.01  # the margin that is left
        assert not overlapping(boxes)


def overlapping(boxes: list[tuple[float, float, float, float]]) -> list[int]:
    """Those (xyxy) that share an area with another."""
    return [
        k
        for k, (x1, y1, x2, y2) in enumerate(boxes)
        for a1, b1, a2, b2 in boxes[:k]
        if min(x2, a2) - max(x1, a1) > 1e-9 and min(y2, b2) - max(y1, b1) > 1e-9
    ]


def test_each_figure_has_its_methods() -> None:
    assert methods_of(4, "paper") == ("interactdiffusion", "migc", "interactdiffusion+migc")
    assert methods_of(6, "mini") == (
        *("interactdiffusion@combined", "migc@combined", "ip-adapter@combined"),
        "interactdiffusion+migc+ip-adapter",
    )
    with pytest.raises(InputError, match="number: unknown qualitative figure of the paper '7'; there are: 4, 5, 6"):
        methods_of(7, "paper")


def test_the_shipped_layouts_are_placed() -> None:
    for number in (4, 5, 6):
        entry = example_entry("paper", number)
        assert entry.layout.instances == entry.layout.placed() and (entry.style is None) == (number == 4)


def test_every_method_gets_what_it_reads_and_one_seed() -> None:
    asked: dict[str, list[Any]] = {}

    def load(method: str) -> Any:
        def call(layout: Any, ip_adapter_image: Any, generator: Any, output_type: str) -> Any:
            asked.setdefault(method, []).append((layout, ip_adapter_image, generator.initial_seed()))
            return SimpleNamespace(images=np.full((1, 8, 8, 3), len(asked) / 255), finite=[method != "migc@combined"])

        return call

    entries = load_layouts("mini-combined").entries[:2]
    found = draw_figure(6, "mini", entries, 5, load)
    assert list(found.rows) == ["InteractDiffusion", "MIGC", "IP-Adapter", "InteractDiffusion(+MIGC+IP-Adapter)"]
    shown = {name: (calls[0][0].instances, calls[0][0].interactions, calls[0][1]) for name, calls in asked.items()}
    layout = entries[0].layout
    assert shown["interactdiffusion@combined"] == (layout.instances, layout.interactions, None)
    assert shown["migc@combined"] == (layout.instances, (), None)
    assert shown["ip-adapter@combined"][:2] == ((), ()) and shown["ip-adapter@combined"][2].size == (64, 64)
    both = shown["interactdiffusion+migc+ip-adapter"]
    assert both[:2] == (layout.instances, layout.interactions) and both[2] is not None
    assert {call[2] for calls in asked.values() for call in calls} == {5}
    assert found.rows["MIGC"] == {0: "not finite", 1: "not finite"}
    assert (found.rows["InteractDiffusion"][0] == 1).all()

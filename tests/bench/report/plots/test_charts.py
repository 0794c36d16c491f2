"""What the axes of charts are given; colours asked for and found."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from amdm.errors import InputError
from bench.cocomig.metrics import Estimate, metric_table
from bench.report import palette
from bench.report.html.figures import SIZE_EDGES, Confusion
from bench.report.measured import Measured, together
from bench.report.plots.charts import (
    MARKERS,
    Curve,
    Panel,
    Spot,
    check_target,
    colour_confusions,
    draw_heatmaps,
    draw_panels,
    draw_spots,
    method_look,
    paper_style,
    save,
)
from bench.report.plots.of_runs import levels, sizes, tradeoff

NAN = float("nan")


def bars(ax: Any) -> dict[str, dict[str, np.ndarray]]:
    """Label → x, y, low and high of each mark, as they are drawn."""
    found = {}
    for one in ax.containers:
        assert isinstance(one, ErrorbarContainer)
        x, y = one.lines[0].get_data()
        ends = [np.array(line.get_segments()) for line in one.lines[2]]
        low, high = (ends[-1][:, k, 1] for k in (0, 1)) if ends else (y, y)
        found[one.get_label()] = {"x": np.array(x), "y": np.array(y), "low": low, "high": high}
    return found


def test_marks_stand_at_their_values_with_their_intervals() -> None:
    values = {"L2": Estimate(0.5, 0.4, 0.7), "L3": Estimate(NAN, NAN, NAN), "Avg": Estimate(0.25, NAN, NAN)}
    other = {place: Estimate(1.0, 0.9, 1.0) for place in ("L2", "L3", "Avg")}
    panel = Panel("ISR", "level", ("L2", "L3", "Avg"), (Curve("a", 0, values), Curve("b", None, other)), "Avg")
    (ax,) = draw_panels([panel]).axes
    own = bars(ax)["a"]
    assert (
        own["y"].tolist() == [50, 25]
        and own["low"].tolist() == [40, 25]
        and own["high"].tolist() == pytest.approx([70, 25])
    )
    assert own["x"].tolist() == [-0.125, 1.875] and bars(ax)["b"]["x"].tolist() == [0.125, 1.125, 2.125]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["L2", "L3", "Avg"]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("ISR", "level", "per cent")
    joined = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert joined[0].get_xdata() == pytest.approx([0.125, 1.125])  # the average is joined with nothing


def test_the_legend_names_every_curve_of_every_panel() -> None:
    known, none = {"L2": Estimate(0.5, 0.4, 0.7)}, {"L2": Estimate(NAN, NAN, NAN)}
    first = Panel("style", "level", ("L2",), (Curve("b", 1, none), Curve("_own_function", 0, known)))
    second = Panel("ISR", "level", ("L2",), (Curve("b", 1, known), Curve("_own_function", 0, known)))
    figures = [draw_panels([first, second])]
    figures.append(draw_spots([Spot(name, 0, known["L2"], known["L2"]) for name in ("_own_function", "b")], "x", "y"))
    for figure in figures:
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["_own_function", "b"]


def test_colours_and_marks_are_the_methods_own_and_repeat_hollow() -> None:
    looks = [method_look(k) for k in range(28)]
    assert [look["color"] for look in looks[:7]] == list(palette.METHODS)
    assert len({(look["color"], look["marker"], look.get("markerfacecolor")) for look in looks}) == 28
    values = {"k": Estimate(0.5, 0.4, 0.6)}
    (ax,) = draw_panels([Panel("t", "x", ("k",), (Curve("third", 2, values),))]).axes
    assert to_hex(ax.containers[0].lines[0].get_color()) == palette.METHODS[2]


def test_marks_are_those_of_the_page() -> None:
    page = (files("bench.report.html") / "templates" / "charts.html").read_text(encoding="utf-8")
    assert MARKERS == "os^DvPX"
    for shape, start in (("s", "M-4-4H4"), ("^", "M0-5L5 4"), ("D", "M0-5.5L5.5 0"), ("v", "M0 5L5-4")):
        assert re.findall(r'"(M[^"]*Z)"', page)[MARKERS.index(shape)].startswith(start)


def test_a_legend_of_many_lines_leaves_room_for_the_axes() -> None:
    value, none = Estimate(20.0, 10.0, 30.0), Estimate(20.0, NAN, NAN)
    figure = draw_spots([Spot(f"a method with quite a long name {k}", k, none, value) for k in range(16)], "x", "y")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert ax.get_position().height * figure.get_size_inches()[1] > 2


def test_names_from_files_are_printed_as_they_are() -> None:
    hostile = "$\\frac{1}{0}$ \x1b[31m"
    figure = draw_panels([Panel(hostile, hostile, ("a$b$",), (Curve(hostile, 0, {"a$b$": Estimate(0.5, 0.4, 0.6)}),))])
    assert figure.axes[0].get_title() == "$\\frac{1}{0}$ \\x1b[31m"
    figure.canvas.draw()  # mathematics that cannot be read would be an error here


def test_a_single_layout_has_no_error_bar() -> None:
    (ax,) = draw_spots([Spot("a", 0, Estimate(3.0, NAN, NAN), Estimate(40.0, NAN, NAN))], "x", "y").axes
    assert bars(ax)["a"]["low"].tolist() == [40] and not ax.containers[0].lines[2]


def test_levels_are_those_of_the_metric_table(run_measured: Callable[..., Measured]) -> None:
    run = run_measured()
    shown = together([run])
    first, second = levels(shown, ["isr", "place"])
    assert (first.title, second.title) == ("ISR", "place") and first.places == ("L2", "L3", "L4", "L5", "L6", "Avg")
    expected = metric_table(run.verdicts).set_index(["method", "level"])
    for curve, method in zip(first.curves, ("interactdiffusion", "migc", "ceiling"), strict=True):
        for level, one in curve.values.items():
            row = expected.loc[(method, level)]
            assert one == (row.isr, row.isr_low, row.isr_high)
    assert [one.name for one in first.curves] == ["InteractDiffusion", "MIGC", "Ceiling"]
    (only,) = levels(together([run], ["migc"]), ["isr"])[0].curves
    assert only.style == 1  # its colour does not depend on what else is shown
    with pytest.raises(InputError, match="metrics: unknown metric of these runs 'irs'; did you mean isr"):
        levels(shown, ["irs"])
    with pytest.raises(InputError, match="methods: unknown method 'mgic'; did you mean migc"):
        together([run], ["mgic"])


def test_sizes_have_the_success_of_their_instances(run_measured: Callable[..., Measured]) -> None:
    run = run_measured()
    (panel,) = sizes(together([run]), ["isr"])
    area = run.verdicts.box_area
    there = [(low, high) for low, high in pairwise(SIZE_EDGES) if ((area >= low) & (area < high)).any()]
    assert len(there) > 2
    assert panel.places == tuple(f"{100 * low:g}–{100 * high:g}" for low, high in there)
    assert all(tuple(curve.values) == panel.places for curve in panel.curves)
    own = run.verdicts[(run.verdicts.method == "migc") & run.verdicts.box_area.between(0.1, 0.2, inclusive="left")]
    assert panel.curves[1].values["10–20"].value == pytest.approx((own.success * own.attr).mean())
    with pytest.raises(InputError, match="unknown metric of these runs 'image_success'"):
        sizes(together([run]), ["image_success"])


def test_tradeoff_takes_evaluations_and_isr_and_leaves_out_what_has_no_cost(
    run_measured: Callable[..., Measured],
) -> None:
    run = run_measured()
    spots, across, up = tradeoff(together([run]))
    assert [spot.name for spot in spots] == ["InteractDiffusion", "MIGC"] and spots[0].x.value == 1
    assert (across, up) == ("evaluations (guided calls) a picture", "ISR, per cent")
    average = metric_table(run.verdicts).query("level == 'Avg'").set_index("method")
    assert spots[1].y == pytest.approx(tuple(100 * average.loc["migc", f"isr{end}"] for end in ("", "_low", "_high")))
    spots, across, _ = tradeoff(together([run]), "place", "seconds")
    assert (
        across == "place, per cent"
        and spots[0].y.value == run.samples.query("method == 'interactdiffusion'").seconds.mean()
    )
    with pytest.raises(InputError, match="unknown metric of these runs 'style'"):
        tradeoff(together([run]), "style")


def test_combined_layouts_are_shown_by_joint_success(run_measured: Callable[..., Measured]) -> None:
    run = run_measured(layouts="mini-combined", methods=("interactdiffusion@combined", "migc@combined"))
    assert tradeoff(together([run]))[2] == "joint by interaction, per cent"


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_files_are_what_their_names_say_and_the_same_each_time(tmp_path: Path, kind: str, start: bytes) -> None:
    def figure() -> Figure:
        return draw_spots([Spot("a", 0, Estimate(1.0, NAN, NAN), Estimate(2.0, 1.0, 3.0))], "x", "y")

    written = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.{kind}"
        save(figure(), check_target(path))
        written.append(path.read_bytes())
    assert written[0].startswith(start) and written[0] == written[1]


def test_where_figures_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"out: unknown form of a figure '\.jpg'"):
        check_target(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="out: is not a folder"):
        check_target(tmp_path / "absent" / "a.png")


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *more: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"^plot: figures need matplotlib: pip install 'amdm\[plot\]'$"), paper_style():
        pass


ONE = Confusion("migc@x", ("red", "blue"), ("red", "blue", "other"), ((3, 1, 0), (0, 0, 0)))


def test_cells_hold_the_shares_of_their_row() -> None:
    (ax,) = draw_heatmaps([ONE]).axes
    assert np.asarray(ax.images[0].get_array()).tolist() == [[0.75, 0.25, 0], [0, 0, 0]]
    assert {text.get_position(): text.get_text() for text in ax.texts} == {(0, 0): "75", (1, 0): "25"}
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["red (4)", "blue (0)"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["red", "blue", "other"]
    assert ax.get_title() == "MIGC, x"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("found, per cent of the row", "asked for (in place)")


def test_each_method_has_its_own_and_runs_without_findings_none(run_measured: Callable[..., Measured]) -> None:
    run = run_measured()
    assert [one.method for one in colour_confusions(together([run], ["migc"]))] == ["migc"]
    assert len(draw_heatmaps(colour_confusions(together([run]))).axes) == 3
    with pytest.raises(InputError, match="findings: records no colours found"):
        colour_confusions(together([replace(run, findings=run.findings.iloc[:0])]))

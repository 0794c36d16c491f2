"""Curves from the CSV that the study writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from amdm.errors import InputError, faults_of
from bench.report.plots.of_runs import hand_over_panels

HEADER = "auxiliary,target,k,images,place,place_low,place_high,style,style_low,style_high"
ROWS = (
    "migc,interactdiffusion,10,25,0.9,0.8,0.95,,,",
    "migc,interactdiffusion,0,25,0.5,0.4,0.6,,,",
    "ip-adapter,interactdiffusion,0,25,0.25,0.1,0.4,0.75,0.5,1.0",
)


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_a_panel_for_each_auxiliary_over_the_steps_it_draws(tmp_path: Path) -> None:
    first, second = hand_over_panels(table(tmp_path / "a.csv", *ROWS))
    assert (first.title, first.across) == ("MIGC for k steps, then InteractDiffusion", "k")
    assert first.places == ("0", "10") and second.places == ("0",)
    place, style = first.curves
    assert place.name == "place" and place.values["10"] == (0.9, 0.8, 0.95) and place.values["0"] == (0.5, 0.4, 0.6)
    assert style.values["0"].value != style.values["0"].value  # not asked for: NaN
    assert second.curves[1].values["0"] == (0.75, 0.5, 1.0) and second.curves[1].style == style.style


def test_every_fault_is_named_by_line_and_column(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv",
        ROWS[0].replace(",10,", ",x,"),
        ROWS[1].replace("0.5", "1.5"),
        ROWS[2].replace("0.75", "nan"),
        ROWS[2].replace(",0,", ",00,"),
    )
    with pytest.raises(InputError) as caught:
        hand_over_panels(path)
    assert [str(one) for one in faults_of(caught.value)] == [
        f"{path}: line 2.k: 'x' is not a number of steps",
        f"{path}: line 3.place: '1.5' is not a share between 0 and 1",
        f"{path}: line 4.style: 'nan' is not a share between 0 and 1",
        f"{path}: line 5.k: 0 stands twice for this auxiliary and target",
    ]


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", HEADER + "\n", "auxiliary,target,k\na,b,1\n"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError, match=r"a\.csv"):
        hand_over_panels(tmp_path / "a.csv")

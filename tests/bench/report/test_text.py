"""How reports are written."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pandas as pd

from amdm.output import cells
from bench.cocomig.metrics import Estimate, as_columns
from bench.report.text import (
    as_csv,
    as_markdown,
    as_page,
    bounds_texts,
    in_per_cent,
    with_intervals,
    write_study,
    write_table,
)

NAN = float("nan")


def test_a_page_leaves_out_what_says_nothing_and_what_a_terminal_obeys() -> None:
    assert as_page(["# a", "", "b\nc\x1b[31m"]) == "# a\n\nb\nc\\x1b[31m\n"


def test_texts_of_a_table_stay_as_they_are() -> None:
    names = ["1e3", "0012", "loss is nan here", "a|b"]
    table = as_markdown(pd.DataFrame({"method": names, "of|what": [1.0, NAN, 2.0, NAN], "n": [1, 2, 3, 4]}))
    head, _, *rows = [cells(line) for line in table.splitlines()]
    assert head == ["method", "of|what", "n"]
    assert rows == [["1e3", "1.00", "1"], ["0012", "–", "2"], ["loss is nan here", "2.00", "3"], ["a|b", "–", "4"]]
    for name in names[:2]:  # alone, they are a column that looks like numbers
        assert as_markdown(pd.DataFrame({"method": [name], "n": [1]})).splitlines()[-1].split()[1] == name


def test_metrics_are_called_by_their_labels_where_they_are_known() -> None:
    assert in_per_cent({"isr": 0.5, "method": "m"}, ["isr", "style"]) == {"ISR": 50.0}


def test_bounds_come_back_from_the_columns_they_were_written_to() -> None:
    one = Estimate(0.25, 0.125, 0.5)
    row = as_columns("isr", one)
    assert list(row) == ["isr", "isr_low", "isr_high"] and Estimate.of_row(row, "isr") == one
    assert one.per_cent == (25.0, 12.5, 50.0)
    assert str(Estimate.of_row({}, "isr")) == str(Estimate(NAN, NAN, NAN))
    table = pd.DataFrame([row, as_columns("isr", Estimate(0.25, NAN, NAN))])
    assert bounds_texts(table, *row) == ["+25.00 [+12.50, +50.00]", "+25.00 [no interval]"]


def test_two_bounds_become_one_interval() -> None:
    shown = with_intervals(pd.DataFrame({"ISR": [50.0, 1.0], "ISR low": [40.0, NAN], "ISR high": [60.0, NAN]}), ["ISR"])
    assert shown.to_dict("list") == {"ISR": [50.0, 1.0], "ISR 95 %": ["40.0–60.0", "–"]}


def test_a_table_makes_its_folder_and_has_so_many_decimals(tmp_path: Path) -> None:
    write_table(tmp_path / "new" / "t.csv", pd.DataFrame({"a": [0.123456789]}), decimals=4)
    assert (tmp_path / "new" / "t.csv").read_text() == "a\n0.1235\n"


def test_a_study_has_no_file_of_a_table_without_columns(tmp_path: Path) -> None:
    (tmp_path / "nothing.csv").write_text("of an earlier one")
    write_study(tmp_path, "s", "page", {"nothing": pd.DataFrame(), "no_row": pd.DataFrame(columns=["a"])})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"no_row.csv": "a\n", "s.md": "page"}


def test_no_text_of_a_csv_is_a_formula() -> None:
    """https://owasp.org/www-community/attacks/CSV_Injection names the beginnings."""
    texts = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "-0.5", "+3", "a=b", "–", None]
    content = as_csv(pd.DataFrame({"name": texts, "n": [-1.0] * len(texts)}))
    read = pd.read_csv(BytesIO(content), keep_default_na=False)
    assert read.name.tolist()[:5] == [f"'{text}" for text in texts[:5]]
    assert read.name.tolist()[5:] == ["-0.5", "+3", "a=b", "–", ""] and set(read.n) == {-1.0}

"""What is missing from a run."""

from __future__ import annotations

import pandas as pd

from bench.run.inventory import Inventory

EXPECTED = {("m", k, 0): 2 for k in range(5)}


def tables(samples: dict[int, str], verdicts: dict[int, int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [{"method": "m", "layout_index": k, "seed": 0, "status": status} for k, status in samples.items()]
    judged = [
        {"method": "m", "layout_index": k, "seed": 0, "instance": i} for k, n in verdicts.items() for i in range(n)
    ]
    return pd.DataFrame(rows), pd.DataFrame(judged)


def indices(keys: frozenset[tuple[str, int, int]]) -> set[int]:
    return {index for _, index, _ in keys}


def test_every_sample_is_in_the_sets_that_it_belongs_to() -> None:
    there = Inventory.of_tables(
        EXPECTED, *tables({0: "ok", 1: "ok", 2: "failed", 3: "ok", 9: "ok"}, {0: 2, 1: 1, 8: 2})
    )
    assert indices(there.judged) == {0}
    assert indices(there.missing) == {4}
    assert indices(there.unjudged) == {1, 2, 3, 4} and indices(there.gaps) == {1, 3, 4}
    assert indices(there.unasked) == {9}
    assert indices(there.orphans) == {8}
    assert indices(there.miscounted) == {1}


def test_a_whole_run_lacks_nothing() -> None:
    there = Inventory.of_tables(EXPECTED, *tables(dict.fromkeys(range(5), "ok"), dict.fromkeys(range(5), 2)))
    assert there.judged == there.expected == frozenset(EXPECTED)
    assert not (there.missing or there.unjudged or there.gaps or there.unasked or there.orphans or there.miscounted)

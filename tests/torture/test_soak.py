from __future__ import annotations

import pytest

from tests.torture.soak import LEAST, WARM_UP, Round, grown, growth


@pytest.mark.parametrize(
    ("leak", "found"),
    [
        (Round(0, 0, 0), []),
        (Round(20, 0, 0), ["memory"]),
        (Round(0, 1, 0), ["handles"]),
        (Round(0, 0, 0.1), ["seconds"]),
    ],
)
def test_what_grows_each_round_is_found(leak: Round, found: list[str]) -> None:
    start = [Round(300, 90, 9.0)] * WARM_UP  # what the first rounds need does not count
    rounds = [
        Round(900 + k * leak.memory + k % 2, 12 + k * leak.handles, 0.5 + k * leak.seconds + 0.1 * (k % 3))
        for k in range(LEAST)
    ]
    assert grown(growth([*start, *rounds])) == found

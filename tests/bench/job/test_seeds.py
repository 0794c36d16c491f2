"""Seeds as an option names them."""

from __future__ import annotations

import pytest

from amdm.errors import InputError
from bench.job.seeds import seeds_of


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", (0,)),
        ("0,1", (0, 1)),
        (" 3 , 1", (3, 1)),
        ("0-9", tuple(range(10))),
        ("0-3,7", (0, 1, 2, 3, 7)),
        ("7, 2 - 4", (7, 2, 3, 4)),
        ("5-5", (5,)),
        ("-1", (-1,)),
        ("coco-mig-bench", (42, 37, 519, 609, 123, 401, 780, 0)),
    ],
)
def test_lists_ranges_and_names(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_of(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b", "'a,b' is not a list of integers with commas, for example 0,1 or 0-9,42"),
        ("", "'' is not a list of integers"),
        ("1,", "'1,' is not a list of integers"),
        ("0..4", "'0..4' is not a list of integers"),
        ("0-1-2", "'0-1-2' is not a list of integers"),
        ("0-", "'0-' is not a list of integers"),
        ("1e3", "'1e3' is not a list of integers"),
        ("coco-mig-bnech", "did you mean coco-mig-bench"),
        ("9-0", "'9-0' runs backwards: write 0-9"),
        ("0-1000", "'0-1000' makes more than 1000 seeds"),
        ("0-9999999999", "makes more than 1000 seeds"),
        ("0-600,1000-1600", "'1000-1600' makes more than 1000 seeds"),
    ],
)
def test_what_is_no_list_of_seeds(text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"^seeds: ") as caught:
        seeds_of(text)
    assert message in str(caught.value)

"""Sums of what is right together, counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from amdm.errors import InputError
from bench.cocomig.action_style import action_outcome
from bench.cocomig.joint import ConditionTables
from bench.cocomig.metrics import JOINT, estimates, image_sums, metric_table, paired

# Of each instance: c right, w in place in a wrong colour, p in a wrong place. Layouts 0, 1, 2.
INSTANCES = {0: "cc", 1: "ccw", 2: "cp"}
# (layout, subject, object, outcome).
ACTIONS = [
    (0, 0, 1, "right"),  # all right
    (1, 0, 1, "right"),  # both right, the picture is not
    (1, 1, 2, "right"),  # in place, one in a wrong colour
    (1, 2, 0, "reversed"),
    (2, 0, 1, "right"),  # one in a wrong place
]
STYLES = {0: 1, 1: 1, 2: 0}


def verdicts(method: str = "m") -> pd.DataFrame:
    rows = []
    for index, letters in INSTANCES.items():
        for k, letter in enumerate(letters):
            placed, right = letter in "cw", letter == "c"
            about = {"method": method, "layout_index": index, "seed": 0, "level": len(letters), "instance": k}
            about |= {"colour": "red", "category": "circle", "box_area": 0.1}
            iou = 0.8 if placed else 0.1
            rows.append(
                {**about, "detected": 1, "iou": iou, "success": placed, "attr": right, "miou": iou * (letter != "w")}
            )
    return pd.DataFrame(rows)


def conditions(method: str = "m", outcomes: list[tuple[int, int, int, str]] = ACTIONS) -> ConditionTables:
    rows = [
        {
            "method": method,
            "layout_index": i,
            "seed": 0,
            "interaction": k,
            "subject": s,
            "object": o,
            "outcome": outcome,
        }
        for k, (i, s, o, outcome) in enumerate(outcomes)
    ]
    styles = [{"method": method, "layout_index": i, "seed": 0, "success": one} for i, one in STYLES.items()]
    asked = {i: (sum(one[0] == i for one in outcomes), 1) for i in INSTANCES}
    return ConditionTables(pd.DataFrame(rows), pd.DataFrame(styles), asking(asked))


def asking(asked: dict[int, tuple[int, int]]) -> pd.DataFrame:
    """How many interactions and styles each layout asks for."""
    return pd.DataFrame([(i, *one) for i, one in asked.items()], columns=["layout_index", "interactions", "styles"])


def test_sums_are_those_counted_by_hand() -> None:
    sums = image_sums(verdicts(), conditions=conditions()).set_index("layout_index")
    assert sums.interactions.tolist() == [1, 3, 1]
    assert sums.interactions_in_place.tolist() == [1, 3, 0]
    assert sums.actions_in_place.tolist() == [1, 2, 0]
    assert sums.joint_interactions.tolist() == [1, 1, 0]
    assert sums.styles_right.tolist() == [1, 1, 0]
    assert sums.joint_pictures.tolist() == [1, 0, 0]


def test_metrics_divide_what_they_say() -> None:
    row = metric_table(verdicts(), conditions=conditions()).set_index("level").loc["Avg"]
    assert [row[name] for name in JOINT] == pytest.approx([3 / 4, 2 / 3, 2 / 5, 1 / 3])
    assert row["joint_picture_low"] < 1 / 3 < row["joint_picture_high"]


def test_a_picture_is_right_only_with_every_action_and_its_style() -> None:
    whole = image_sums(verdicts(), conditions=conditions(outcomes=[(0, 0, 1, "right"), (0, 1, 0, "none")]))
    assert whole.joint_pictures.tolist() == [0, 0, 0]
    unstyled = conditions()._replace(styles=pd.DataFrame(), asked=asking({0: (1, 0), 1: (3, 0), 2: (1, 0)}))
    assert image_sums(verdicts(), conditions=unstyled).joint_pictures.tolist() == [1, 0, 0]
    one_style = asking(dict.fromkeys(INSTANCES, (0, 1)))
    styled = conditions()._replace(interactions=pd.DataFrame(), asked=one_style)
    of_styles = image_sums(verdicts(), conditions=styled)
    assert of_styles.joint_pictures.tolist() == [1, 0, 0] and "interactions" not in of_styles


def test_what_is_not_asked_for_has_no_column() -> None:
    empty = ConditionTables(pd.DataFrame(), pd.DataFrame(), asking(dict.fromkeys(INSTANCES, (0, 0))))
    plain = metric_table(verdicts())
    pd.testing.assert_frame_equal(metric_table(verdicts(), conditions=empty), plain)
    assert not set(JOINT) & set(plain)
    assert not set(JOINT) & set(estimates(image_sums(verdicts())))


@pytest.mark.parametrize("lost", ["one interaction", "a layout's interactions", "every interaction", "a style"])
def test_a_picture_that_lacks_a_verdict_counts_neither_as_right_nor_as_wrong(lost: str) -> None:
    whole = conditions()
    kept = {
        "one interaction": whole.interactions.interaction != 2,
        "a layout's interactions": whole.interactions.layout_index != 0,
        "every interaction": whole.interactions.layout_index < 0,
        "a style": whole.styles.layout_index != 0,
    }[lost]
    field = "styles" if lost == "a style" else "interactions"
    torn = whole._replace(**{field: getattr(whole, field)[kept]})
    with pytest.raises(InputError, match=rf"^{field}: . pictures lack verdicts \(first m, layout ., seed 0\)"):
        image_sums(verdicts(), conditions=torn)


def test_joint_metrics_are_compared_in_pairs() -> None:
    none = [(i, s, o, "none") for i, s, o, _ in ACTIONS]
    both = pd.concat([verdicts("a"), verdicts("b")])
    tables = [pd.concat(two) for two in zip(conditions("a")[:2], conditions("b", none)[:2], strict=True)]
    sums = image_sums(both, conditions=ConditionTables(*tables, conditions("a").asked))
    found = paired(sums, "a", "b")
    assert found["joint_interaction"].value == pytest.approx(2 / 5) and found["style"].value == 0
    assert found["joint_interaction"].pairs == 3


def test_outcomes_of_actions() -> None:
    assert action_outcome("pushes", "pushes", False) == "right"
    assert action_outcome("pushes", "pushes", True) == "reversed"
    assert action_outcome("joins", "pushes", True) == "other"
    assert action_outcome("joins", None, False) == "none"

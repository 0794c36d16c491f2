"""Layout sets: labels, checks, identity, balanced subsets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from bench.layouts.layout_set import Entry, Label, LayoutSet
from bench.layouts.vocabulary import COCO, MINI, OWN, vocabulary_of


def entry(index: int, level: int, label: str = "a red circle", caption: str = "a photo") -> Entry:
    boxes = [(min(0.1 * k, 0.8), 0.0, min(0.1 * k, 0.8) + 0.2, 0.5 + index / 1000) for k in range(level)]
    return Entry(index, str(index), "7", Layout(caption, tuple(Instance(label, box) for box in boxes)))


def layout_set(levels: list[int]) -> LayoutSet:
    return LayoutSet("some", tuple(entry(k, level) for k, level in enumerate(levels)), MINI)


def test_labels() -> None:
    assert Label.parse("a brown dining table") == Label("a", "brown", "dining table")
    assert str(Label.parse("a brown dining table")) == "a brown dining table"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("circle", ("", "", "circle")),
        ("a red", ("a", "", "red")),
        ("red circle", ("", "red", "circle")),
        (" a  red  circle ", ("a", "red", "circle")),
        ("The Brown dog", ("The", "brown", "dog")),
        ("an orange cat", ("an", "", "orange cat")),
        ("a man in a red coat", ("a", "", "man in a red coat")),
        ("a", ("", "", "a")),
    ],
)
def test_labels_need_neither_article_nor_colour(text: str, parts: tuple[str, str, str]) -> None:
    assert Label.parse(text) == Label(*parts)


def test_what_cannot_be_judged_is_said() -> None:
    assert layout_set([2, 3]).judging_notes == ()
    boxes = [(0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)]
    phrases = [("bleu ring", "a red dragon"), ("ring", "a red circel")]
    entries = tuple(
        Entry(k, str(k), "", Layout("c", tuple(Instance(*one) for one in zip(own, boxes, strict=True))))
        for k, own in enumerate(phrases)
    )
    notes = LayoutSet("own", entries, OWN).judging_notes
    assert notes == (
        "2 of 4 instances name no colour that can be judged, and count by their place alone: "
        "'bleu ring' (did you mean blue?), 'ring'",
        "3 of 4 instances have categories of your own, which the detector is asked for as they are written: "
        "'bleu ring', 'dragon', 'circel' (did you mean circle?)",
    )
    assert not LayoutSet("own", entries, OWN).renderable


@pytest.mark.parametrize(
    ("name", "style"),
    [("stripes-03.png", "stripes"), ("my-photo-1.jpg", "my-photo"), ("my-photo.jpg", ""), ("a.png", "")],
)
def test_a_style_is_named_by_its_pictures_file(name: str, style: str) -> None:
    layout = Layout("c", (Instance("a red ring", (0.0, 0.0, 0.5, 0.5)),))
    entry = Entry(0, "0", "", layout, Path("styles", name))
    assert entry.style_name == style and entry.asks_style == (style == "stripes")


def test_what_is_asked_for_twice_is_judged_once() -> None:
    """Else it would count twice in what is right together."""
    one, other = Instance("a red ring", (0.0, 0.0, 0.3, 0.3)), Instance("a blue arch", (0.6, 0.6, 0.9, 0.9))
    pushes, eats = (Interaction(one, action, other) for action in ("pushes", "eats"))
    back = Interaction(other, "pushes", one)
    asked = Entry(0, "0", "", Layout("c", (one, other), (pushes, back, pushes, eats, eats)))
    assert asked.actions == ((0, "pushes", 1), (1, "pushes", 0)) and asked.verdicts == 4
    assert asked.pairs == (*asked.actions, (0, "eats", 1)) and asked.unjudged_actions == ("eats",)
    assert len(asked.layout.interactions) == 5  # models get them as they are


def test_one_to_twelve_instances() -> None:
    assert layout_set([1, 12]).levels == (1, 12)


def test_the_vocabulary_is_that_of_all_categories() -> None:
    assert [vocabulary_of(one) for one in (["ring"], ["cat", "tv"], ["cat", "ring"], ["dragon"])] == [
        MINI,
        COCO,
        OWN,
        OWN,
    ]


def test_vocabularies() -> None:
    assert (len(COCO.categories), len(MINI.categories)) == (80, 8)
    assert not set(COCO.categories) & set(MINI.categories)


def test_hash_depends_on_content_only() -> None:
    one, same = layout_set([2, 3]), layout_set([2, 3])
    assert one.hash == same.hash and len(one.hash) == 64
    renamed = LayoutSet("other", tuple(Entry(e.index, f"k{e.key}", "", e.layout) for e in one.entries), MINI)
    assert renamed.hash == one.hash
    for changed in (
        [entry(1, 3), entry(0, 2)],
        [entry(0, 2, caption="b"), entry(1, 3)],
        [entry(0, 2, label="a blue circle"), entry(1, 3)],
        [entry(0, 2), entry(2, 3)],
    ):
        assert LayoutSet("some", tuple(changed), MINI).hash != one.hash


def test_known_hash() -> None:
    assert layout_set([2, 3]).hash == "71e4990695d9f2eaff4fb674ef5d7eadff5453b1805e485a072015caaada2c33"


@pytest.mark.parametrize(("limit", "size"), [(1, 5), (5, 5), (6, 10), (23, 25), (30, 30), (99, 30)])
def test_subset_is_balanced_and_keeps_identity(limit: int, size: int) -> None:
    whole = layout_set([2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6])
    part = whole.subset(limit)
    assert set(Counter(one.level for one in part.entries).values()) == {size // 5}
    assert (part.hash, part.full_size, part.name) == (whole.hash, 30, "some")
    assert [one.index for one in part.entries] == sorted(one.index for one in part.entries)
    assert all(whole.entries[one.index] == one for one in part.entries)
    firsts = [one.index for one in part.entries if one.level == 4]
    assert firsts == list(range(12, 12 + size // 5))


def test_subset_of_few_levels_fills_up() -> None:
    part = layout_set([3, 3, 3, 3, 3, 3, 5]).subset(5)
    assert Counter(one.level for one in part.entries) == {3: 4, 5: 1}
    with pytest.raises(InputError, match="limit: 0 is not a positive"):
        layout_set([2]).subset(0)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "the set holds no layout"),
        ([entry(0, 2), entry(0, 2)], "0: duplicate key"),
        ([entry(0, 13)], r"0\.segment: 13 instances; a layout of a set has 1 to 12"),
        ([entry(0, 0)], r"0\.segment: 0 instances"),
        (
            [entry(0, 2, "a pink circle")],
            r"0\.segment\[0\]\.label: unknown category 'pink circle'; did you mean circle",
        ),
        (
            [entry(0, 2, "a red cat")],
            r"0\.segment\[0\]\.label: unknown category 'cat'; there are: circle, .* \(vocabulary: mini\)",
        ),
    ],
)
def test_bad_sets_are_refused(entries: list[Entry], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LayoutSet("bad", tuple(entries), MINI)

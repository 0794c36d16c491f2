from __future__ import annotations

import unicodedata

import pytest

from bench.generators.folder_names import KeyNames, Reading, normal_path

NUMBERS = KeyNames(map(str, range(20)))


def said(key: str, *seeds: int) -> Reading:
    return Reading((key,), seeds)


@pytest.mark.parametrize(
    ("path", "reading"),
    [
        ("000001_3.png", said("3")),  # the official scripts' form
        ("a photo_of two_things_13.png", said("13")),
        ("3.png", said("3")),
        ("00003.png", said("3")),
        ("x-3.jpeg", said("3")),
        ("x 3.webp", said("3")),
        ("x_00013.png", said("13")),
        ("deep/er/3.png", said("3")),
        ("x_3.jpg.png", said("3")),  # the official evaluator reads up to the first "."
        ("x_20.png", Reading((), ())),
        ("img3.png", Reading((), ())),  # no separator
        ("stray.png", Reading((), ())),
        ("x_1.5.png", Reading(("5", "1"), ())),  # a version, or the official evaluator's 1
        ("seed0/3.png", said("3", 0)),
        ("seed_12/a/x_3.png", said("3", 12)),
        ("model-Seed=2/3.png", said("3", 2)),
        ("s1/3.png", said("3", 1)),
        ("bears3/3.png", said("3")),
        ("000001_s7_3.png", said("3", 7)),  # as a run folder names it
        ("x_seed7_3.png", said("3", 7)),
        ("x_seed_7_3.png", said("3", 7)),
        ("seed7_000001_3.png", said("3", 7)),
        ("x_3_seed7.png", said("3", 7)),
        ("3_seed_7.png", said("3", 7)),
        ("3-s7.png", said("3", 7)),
        ("00003_seed07.png", said("3", 7)),
        ("x_seed_3.png", said("3")),  # "x" is no key
        ("seed1/3_s1.png", said("3", 1)),
        ("seed1/3_s2.png", Reading(("3",), (1, 2))),
        ("galaxy_s3_of_bears_5.png", said("5")),
    ],
)
def test_numbers(path: str, reading: Reading) -> None:
    assert NUMBERS.read(path) == reading


@pytest.mark.parametrize(
    ("keys", "path", "key"),
    [
        (("val_000000", "val_000001"), "x_val_000001.png", "val_000001"),
        (("val_000000", "val_000001"), "val_1.png", "val_000001"),
        (("0", "val_0"), "x_val_000.png", "val_0"),
        (("0", "val_0"), "eval_0.png", "0"),
        (("a.b", "b"), "x_a.b.png", "a.b"),
        (("train/17", "val/17"), "deep/val/17.png", "val/17"),
        (("3", "03"), "x_03.png", "03"),
        (("3", "03"), "x_3.png", "3"),
        (("seed_3",), "x_seed_3.png", "seed_3"),
        (("a-b c",), "x a-b c.png", "a-b c"),
        (("Größe",), unicodedata.normalize("NFD", "x_Größe.png"), "Größe"),
        ((unicodedata.normalize("NFD", "é1"),), "é1.png", unicodedata.normalize("NFD", "é1")),
        (("猫",), "x_猫.png", "猫"),
        (("a b",), "000001_s0_a%20b.png", "a b"),  # as a run folder spells it
        (("x_1",), "2/x_1.png", "x_1"),
    ],
)
def test_the_longest_key_behind_a_separator(keys: tuple[str, ...], path: str, key: str) -> None:
    assert KeyNames(keys).read(path).keys == (key,)


def test_keys_that_only_zeros_tell_apart_are_named() -> None:
    names = KeyNames(("3", "03"))
    assert names.read("x_003.png").keys == ("3", "03")
    assert names.whole("003") == ("3", "03") and names.whole("03") == ("03",) and names.whole("4") == ()


def test_paths_are_compared_as_paths() -> None:
    assert normal_path("./a//b/../c.png") == "a/b/../c.png"
    assert normal_path("a\\b.png") == normal_path("./a/b.png") == "a/b.png"
    assert normal_path(unicodedata.normalize("NFD", "é.png")) == "é.png"

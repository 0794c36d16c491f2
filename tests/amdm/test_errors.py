"""Faults gathered in one reading, and what a message says of an unknown name."""

from __future__ import annotations

import pickle

import pytest

from amdm.errors import MAX_FAULTS, Faults, InputError, InputErrors, faults_of, instead, unknown


def gathered(count: int) -> InputError:
    faults = Faults()
    with pytest.raises(InputError) as caught:
        for k in range(count):
            with faults.at(f"entry {k}"):
                raise InputError("is wrong", field="box")
        faults.check()
    return caught.value


def test_one_fault_is_that_error() -> None:
    assert type(gathered(1)) is InputError and str(gathered(1)) == "entry 0.box: is wrong"


def test_several_are_one_line_and_each_of_them() -> None:
    error = gathered(3).within(file="f.json", field="set")
    assert str(error) == "f.json: set.entry 0.box: is wrong; also set.entry 1.box, set.entry 2.box"
    assert [str(one) for one in faults_of(error)] == [f"f.json: set.entry {k}.box: is wrong" for k in range(3)]
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_reading_stops_at_the_most() -> None:
    assert len(faults_of(gathered(1000))) == MAX_FAULTS


def test_gathered_within_gathered() -> None:
    outer = Faults()
    with pytest.raises(InputErrors) as caught:
        with outer.at("a"):
            raise gathered(2)
        with outer.at("b"):
            raise InputError("is wrong")
        outer.check()
    assert [one.field for one in caught.value.faults] == ["a.entry 0.box", "a.entry 1.box", "b"]


def test_nothing_wrong_is_no_error() -> None:
    Faults().check()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mini-hrad", "did you mean mini-hard? there are: mini, mini-hard"),
        ("Mini", "did you mean mini? there are: mini, mini-hard"),
        ("zzz", "there are: mini, mini-hard"),
        ("", "there are: mini, mini-hard"),
    ],
)
def test_the_near_match_and_the_list(name: str, said: str) -> None:
    assert instead(name, ("mini", "mini-hard")) == said


def test_of_many_names_the_near_match_and_where_to_see_them() -> None:
    many = [f"name {k:02}" for k in range(30)]
    assert instead("nmae 07", many, "`list` shows them") == "did you mean name 07? there are 30: `list` shows them"
    assert instead("zzz", many).startswith("there are 30: among them name 00, ")


def test_an_unknown_name_of_any_length_is_one_short_line() -> None:
    error = unknown("detector", "x\n\x1b" * 10_000, ("mini",), field="detector")
    assert str(error).startswith("detector: unknown detector 'x\\n\\x1b") and "there are: mini" in str(error)
    assert len(str(error)) <= 400 and "\n" not in str(error)

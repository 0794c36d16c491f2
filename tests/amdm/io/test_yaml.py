from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from amdm.errors import InputError
from amdm.io.yaml import load_plain, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-0", 0),
        ("+3", 3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("3.", 3.0),
        ("1e-3", 0.001),
        ("-1.5E+2", -150.0),
        ("-.inf", -math.inf),
        ("true", True),
        ("null", None),
        ("", None),
        ("'12'", "12"),
        ("1:30", "1:30"),
        ("010", 10.0),
        ("0x10", "0x10"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("yes", "yes"),
        ("2001-01-01", "2001-01-01"),
        ("9" * 30, 1e30),
        ("=", "="),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}),
        ("<<: 3", {"<<": 3}),
    ],
)
def test_plain_values(text: str, value: Any) -> None:
    found = load_plain(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!int '1:30'", "is a tag"),
        ("! a", "is a tag"),
        ("!!python/object/apply:os.getcwd []", "is a tag"),
        ("{a: &x 1, b: *x}", r"\*x: is an alias"),
        ("{a: 1, a: 2}", "a: duplicate key"),
        ("[" * 9 + "]" * 9, "nested deeper than 8"),
        ("[a, a, a, a]", "has more than 6 values"),
    ],
)
def test_what_is_not_plain_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_plain(text, most_events=6 if "values" in message else 100)


def test_what_is_no_yaml_raises_yamls_error() -> None:
    with pytest.raises(yaml.YAMLError):
        load_plain("a: [")


@pytest.mark.parametrize("text", [":".join(["1"] * 200_000), "0x" + "f" * 200_000, "9" * 200_000])
def test_no_number_takes_long(text: str) -> None:
    """Minutes, where it is read as YAML 1.1's."""
    assert load_plain(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "what"),
    [("a: [1", "not YAML: "), ("a: 1\na: 2", "a: duplicate key"), ("a: *b", "*b: is an alias")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as found:
        read_yaml(path, 100)
    assert str(found.value).startswith(f"{path}: {what}") and "\n" not in str(found.value)

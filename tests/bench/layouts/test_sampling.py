"""The sampler: the recorded official runs, and the rules on made-up annotations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.layouts.readers import parse_records
from bench.layouts.sampling import MIN_SIDE, prepare_images, sample_records


def test_recorded_sampling(evaluator_dir: Path) -> None:
    cases = json.loads(gzip.decompress((evaluator_dir / "sampling_cases.json.gz").read_bytes()))
    prepared = prepare_images(cases["captions"], cases["instances"])
    assert prepared == cases["prepared"] and list(prepared) == list(cases["prepared"])
    assert cases["samples"]
    for case in cases["samples"]:
        records = sample_records(prepared, case["sample_num"], case["python_random_seed"], official_quirks=True)
        assert records == case["entries"] and list(records) == list(case["entries"])


def thing(side: float, category: str = "cat", x: float = 0.0) -> dict[str, Any]:
    return {"bbox": [x, 0.0, x + side, side], "label": category}


def source(count: int = 40, *more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """``count`` images of each number of objects 2 … 6."""
    return {
        f"{level}-{k}": {"captions": ["x", "y"], "segment": [thing(0.2 + j / 20) for j in range(level)] + list(more)}
        for level in range(2, 7)
        for k in range(count)
    }


@pytest.mark.parametrize("quirks", [False, True])
def test_levels_are_filled_and_images_serve_once(quirks: bool) -> None:
    records = sample_records(source(), 50, 3, quirks)
    assert list(records) == [str(k) for k in range(50)]
    layouts = parse_records(records, "sampled")
    assert [sum(entry.level == level for entry in layouts.entries) for level in range(2, 7)] == [10] * 5
    assert len({record["image_id"] for record in records.values()}) == 50
    assert len({record["caption"] for record in records.values()}) == 50
    assert records == sample_records(source(), 50, 3, quirks) != sample_records(source(), 50, 4, quirks)


@pytest.mark.parametrize("quirks", [False, True])
def test_small_objects_are_left_out(quirks: bool) -> None:
    with_small = sample_records(source(40, thing(MIN_SIDE - 1e-9, "person")), 50, 3, quirks)
    assert with_small == sample_records(source(), 50, 3, quirks)


@pytest.mark.parametrize("quirks", [False, True])
def test_people_are_refused(quirks: bool) -> None:
    beyond_six = 2 if quirks else 0  # where the official code takes the first six, a person after them goes unseen
    with pytest.raises(InputError, match=rf"do not suffice for 2 entries a level .*L2: 0.*L6: {beyond_six}"):
        sample_records(source(40, thing(0.9, "person")), 10, 3, quirks)


def test_six_of_many() -> None:
    sides = [0.3, 0.2, 0.5, 0.4, 0.25, 0.35, 0.9, 0.8]
    images = source(10) | {f"many-{k}": {"captions": ["x"], "segment": [thing(s) for s in sides]} for k in range(200)}
    for quirks, expected in ((False, [0.9, 0.8, 0.5, 0.4, 0.35, 0.3]), (True, [0.5, 0.4, 0.35, 0.3, 0.25, 0.2])):
        records = sample_records(images, 25, 0, quirks)
        many = [one for one in records.values() if one["image_id"].startswith("many")]
        assert many
        for one in many:
            assert [part["bbox"][2] for part in one["segment"]] == expected


def test_order_of_the_annotations_is_kept_up_to_six() -> None:
    for record in sample_records(source(), 25, 0).values():
        sides = [one["bbox"][2] for one in record["segment"]]
        assert sides == sorted(sides)


@pytest.mark.parametrize("count", [0, -5, 7])
def test_count_is_a_multiple_of_five(count: int) -> None:
    with pytest.raises(InputError, match=f"count: {count} is not a positive multiple of 5"):
        sample_records(source(), count, 0)


def test_too_few_images_end() -> None:
    for quirks in (False, True):
        with pytest.raises(InputError, match="do not suffice"):
            sample_records(source(2), 25, 0, quirks)

"""Sets by name, and COCO-MIG as shapes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from amdm.errors import InputError
from amdm.mini.vocabulary import CATEGORIES
from bench.layouts.named import MINI_SETS, SHAPE_OF, as_shapes, load_layouts
from bench.layouts.readers import write_json


@pytest.mark.parametrize("name", MINI_SETS)
def test_mini_sets_are_in_the_package(name: str) -> None:
    layouts = load_layouts(name)
    assert (layouts.name, layouts.vocabulary.name, layouts.levels) == (name, "mini", (2, 3, 4, 5, 6))
    assert len(set(Counter(entry.level for entry in layouts.entries).values())) == 1


def test_frozen_hashes() -> None:
    """The results of a changed set could not be compared with those reported."""
    assert {name: load_layouts(name).hash[:16] for name in MINI_SETS} == {
        "mini": "4157a97e1ae2d99c",
        "mini-hard": "b4a6ea3e483e2891",
        "mini-tune": "ca840b7970519f19",
        "mini-combined": "5c93632a104563a2",
        "mini-combined-tune": "b1fd94623987b3a4",
    }


def test_a_path_is_read_too(tmp_path: Path) -> None:
    write_json(load_layouts("mini-tune"), tmp_path / "copy.json")
    assert load_layouts(tmp_path / "copy.json").hash == load_layouts("mini-tune").hash


def test_unknown_name_and_absent_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"layouts: unknown layout set 'maxi'; there are: mini, .*; or a file"):
        load_layouts("maxi")
    with pytest.raises(
        InputError, match=r"unknown layout set 'mini-hrad'; did you mean mini-hard[?] there are: mini, "
    ):
        load_layouts("mini-hrad")
    monkeypatch.setenv("AMDM_COCO_MIG_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"mig_bench\.json: not there: run `amdm-bench layouts fetch`"):
        load_layouts("coco-mig-amdm")
    with pytest.raises(InputError, match="not there"):
        load_layouts("coco-mig-migc-as-shapes")
    monkeypatch.delenv("AMDM_COCO_MIG_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"cache/amdm/coco-mig/mig_bench\.json"):
        load_layouts("coco-mig-amdm")


def test_every_category_has_a_shape() -> None:
    assert len(SHAPE_OF) == 80 and set(Counter(SHAPE_OF.values()).values()) == {10}
    assert set(SHAPE_OF.values()) == set(CATEGORIES)


def test_coco_mig_as_shapes(coco_mig_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMDM_COCO_MIG_DIR", str(coco_mig_dir))
    original, mapped = load_layouts("coco-mig-amdm"), load_layouts("coco-mig-amdm-as-shapes")
    assert mapped.name == "coco-mig-amdm-as-shapes" and mapped.hash != original.hash
    for before, after in zip(original.entries, mapped.entries, strict=True):
        assert [one.box for one in before.layout.instances] == [one.box for one in after.layout.instances]
        assert [one.colour for one in before.labels] == [one.colour for one in after.labels]
        assert [SHAPE_OF[one.category] for one in before.labels] == [one.category for one in after.labels]
        assert all(label.category in after.layout.caption for label in after.labels)
    with pytest.raises(InputError, match="only a whole set"):
        as_shapes(original.subset(5))
    with pytest.raises(InputError, match="only a whole set"):
        as_shapes(mapped)

"""Readers: good files of both forms, and one line for each way to be bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.layouts.readers import read_json, read_layouts, read_migc, write_json

BOX = [0.1, 0.2, 0.5, 0.75]


def record(*labels: str, box: list[Any] = BOX, **more: Any) -> dict[str, Any]:
    labels = labels or ("a red circle", "a blue ring")
    caption = "a photo of " + "and ".join(f"{label} " for label in labels)
    return {"caption": caption, "segment": [{"bbox": box, "label": label} for label in labels], **more}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_json(tmp_path: Path) -> None:
    path = write(tmp_path / "my.json", {"7": record(image_id="42"), "x": record("a red ring", "a white arch")})
    layouts = read_layouts(path)
    assert (layouts.name, len(layouts), layouts.vocabulary.name) == ("my", 2, "mini")
    first, second = layouts.entries
    assert (first.index, first.key, first.image_id) == (0, "7", "42")
    assert (second.index, second.key, second.image_id) == (1, "x", "")
    assert first.layout.caption == "a photo of a red circle and a blue ring "
    assert [one.phrase for one in first.layout.instances] == ["a red circle", "a blue ring"]
    assert first.layout.instances[0].box == tuple(BOX)
    assert (second.labels[1].colour, second.labels[1].category) == ("white", "arch")


def test_integer_image_id_and_coco_words(tmp_path: Path) -> None:
    layouts = read_json(write(tmp_path / "a.json", {"0": record("a red dining table", "a red cat", image_id=12)}), "a")
    assert layouts.vocabulary.name == "coco" and layouts.entries[0].image_id == "12"


def test_written_set_reads_the_same(tmp_path: Path) -> None:
    original = read_json(write(tmp_path / "a.json", {"7": record(image_id="42"), "x": record(box=[0, 0, 1, 1])}), "a")
    write_json(original, tmp_path / "b.json")
    assert read_json(tmp_path / "b.json", "a") == original


def changed(**fields: Any) -> dict[str, Any]:
    return {"k": record() | fields}


def without(name: str) -> dict[str, Any]:
    one = record()
    del one[name]
    return {"k": one}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be one object"),
        ("{}", "the set holds no layout"),
        ({"k": 3}, "k: must be an object"),
        (without("caption"), "k.caption: missing"),
        (without("segment"), "k.segment: missing"),
        (changed(caption=3), "k.caption: must be a text"),
        (changed(segment={}), "k.segment: must be a list"),
        (changed(segment=[3, 4]), "k.segment[0]: must be an object"),
        (changed(segment=[{"label": "a red ring"}]), "k.segment[0].bbox: missing"),
        (changed(segment=[{"bbox": BOX}]), "k.segment[0].label: missing"),
        (changed(image_id=[1]), "k.image_id: must be a text or an integer"),
        ({"k": record(box=[0, 0, 1.01, 1])}, "k.segment[0].bbox: x2 = 1.01 is outside [0, 1]"),
        ({"k": record(box=[-0.1, 0, 1, 1])}, "k.segment[0].bbox: x1 = -0.1 is outside [0, 1]"),
        ({"k": record(box=[0.5, 0, 0.5, 1])}, "k.segment[0].bbox: x2 ≤ x1"),
        ({"k": record(box=[0, 0, 1])}, "k.segment[0].bbox: must be four numbers"),
        ({"k": record(box=[0, 0, 1, "1"])}, "k.segment[0].bbox: y2 is not a finite number"),
        ({"k": record(box=[0, float("nan"), 1, 1])}, "k.segment[0].bbox: y1 is not a finite number"),
        ({"k": record(box=[0, 0, 10**400, 1])}, "k.segment[0].bbox: x2 = a huge number is outside [0, 1]"),
        ({"k": record("a red ring", "a pink ring")}, "k.segment[1].label: unknown colour 'pink'"),
        ({"k": record("a red ring", "a red cat")}, "k.segment[1].label: unknown category 'cat'"),
        ({"k": record("a red dragon", "a red cat")}, "k.segment[0].label: unknown category 'dragon'"),
        ({"k": record("ring", "a red ring")}, "k.segment[0].label: 'ring' is not"),
        ({"k": record(*["a red ring"] * 7)}, "k.segment: 7 instances"),
        ({"k": record("a red ring")}, "k.segment: 1 instances"),
        ('{"k": 1, "k": 2}', "k: duplicate key"),
    ],
)
def test_bad_json(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path / "bad.json", content)
    with pytest.raises(InputError) as caught:
        read_json(path, "bad")
    assert str(caught.value).startswith(f"{path}: {message}") and "\n" not in str(caught.value)


def test_a_hundred_thousand_instances_are_not_read(tmp_path: Path) -> None:
    segment = [{"label": "a red circle", "bbox": [0, 0, 1, 1]}] * 6 + ["not even looked at"] * 100_000
    path = write(tmp_path / "bad.json", {"k": {"caption": "c", "segment": segment}})
    with pytest.raises(InputError, match=r"k\.segment: 100006 instances; a layout of this benchmark has 2 to 6"):
        read_json(path, "bad")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: is absent"):
        read_json(tmp_path / "none.json", "none")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"bytes\.json: not UTF-8"):
        read_json(tmp_path / "bytes.json", "bytes")
    with pytest.raises(InputError, match="a layout file ends in"):
        read_layouts(tmp_path / "set.csv")


CAPTION = "a photo of a red ring and a blue arch and a red ring"
YAML = f"""\
{CAPTION}:
  a blue arch:
  - [0.1, 0.1, 0.4, 0.4]
  a red ring:
  - [0, 0, 0.5, 0.5]
  - [0.5, 0.5, 1.0, 1.0]
  coco_id: '9'
"""


def migc(folder: Path, captions: str = CAPTION, annotations: str = YAML) -> Any:
    return read_migc(write(folder / "m.txt", captions), write(folder / "m_anno.yaml", annotations), "m")


def test_migc_pair(tmp_path: Path) -> None:
    layouts = migc(tmp_path)
    (entry,) = layouts.entries
    assert (entry.key, entry.layout.caption) == ("9", CAPTION)
    assert [one.phrase for one in entry.layout.instances] == ["a blue arch", "a red ring", "a red ring"]
    assert entry.layout.instances[2].box == (0.5, 0.5, 1.0, 1.0)
    assert read_layouts(tmp_path / "m.txt") == layouts


@pytest.mark.parametrize(
    ("captions", "annotations", "message"),
    [
        (CAPTION, "a: [", "m_anno.yaml: not YAML"),
        (CAPTION, "? [1, 2]\n: 3\n", "m_anno.yaml: not YAML"),
        (CAPTION, "[" * 300_000, "m_anno.yaml: nested deeper than 8"),
        (CAPTION, "- 1", "m_anno.yaml: must be one mapping"),
        (CAPTION, f"a: [{'a, ' * 400_000}]", "m_anno.yaml: has more than 400,000 values"),
        (CAPTION, YAML.replace("0.4, 0.4", "0.4, 0x1"), "m_anno.yaml: 9.segment[0].bbox: y2 is not a finite number"),
        (CAPTION, "a: &x [1]\nb: *x", "m_anno.yaml: *x: is an alias"),
        (CAPTION, "a: {<<: [&e {k: v}, *e, *e]}", "m_anno.yaml: *e: is an alias"),
        (CAPTION, YAML + YAML, f"m_anno.yaml: {CAPTION}: duplicate key"),
        (CAPTION, YAML.replace("  coco_id: '9'\n", ""), f"m_anno.yaml: {CAPTION}.coco_id: missing"),
        (CAPTION, YAML.replace("0.4, 0.4", "0.4, 1.4"), "m_anno.yaml: 9.segment[0].bbox: y2 = 1.4"),
        (
            CAPTION,
            YAML.replace("arch:", "arch: 3\n  a white arch:"),
            f"m_anno.yaml: {CAPTION}.a blue arch: must be a list",
        ),
        (
            CAPTION,
            f"{CAPTION}: !!python/object/apply:os.getcwd []",
            "m_anno.yaml: tag:yaml.org,2002:python/object/apply:os.getcwd: is a tag",
        ),
        ("another", YAML, "m.txt: line 1: no such caption"),
        ("", YAML, "m.txt: 0 different captions, 1 annotations"),
        (f"{CAPTION}\n{CAPTION}", YAML, "m.txt: 1 different captions, 1 annotations"),
    ],
)
def test_bad_migc_pairs(tmp_path: Path, captions: str, annotations: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        migc(tmp_path, captions, annotations)
    assert str(caught.value).startswith(f"{tmp_path}/{message}") and "\n" not in str(caught.value)


def test_public_files(coco_mig_dir: Path) -> None:
    for name in ("mig_bench.json", "migc/mig_bench.txt"):
        layouts = read_layouts(coco_mig_dir / name)
        assert (len(layouts), layouts.instance_count, layouts.levels) == (800, 3200, (2, 3, 4, 5, 6))
        assert [entry.key for entry in layouts.entries] == [str(k) for k in range(800)]
        for entry in layouts.entries:
            words = sorted(entry.layout.caption.removeprefix("a photo of ").strip().split(" and "))
            assert words == sorted(str(label) for label in entry.labels)


def test_one_layout_is_no_set(tmp_path: Path) -> None:
    path = write(tmp_path / "one.json", {"caption": "c", "segment": []})
    with pytest.raises(InputError, match=r"one\.json: is one layout; a set maps keys to layouts"):
        read_json(path, "one")

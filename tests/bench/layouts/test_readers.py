"""Readers: good files of both forms, and one line for each way to be bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError, InputErrors
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


TRIPLE = {
    "subject": {"label": "a person", "bbox": [0, 0, 0.5, 1]},
    "action": "kicking",
    "object": {"label": "a ball", "bbox": BOX},
}


def test_interactions_and_styles_are_carried(tmp_path: Path) -> None:
    content = {"k": record(interactions=[TRIPLE], style="styles/s.png"), "l": record("a red ring", "a red arch")}
    layouts = read_json(write(tmp_path / "a.json", content), "a")
    first, second = layouts.entries
    (triple,) = first.layout.interactions
    assert (triple.subject.phrase, triple.action, triple.object.box) == ("a person", "kicking", tuple(BOX))
    assert first.style == tmp_path / "styles" / "s.png"
    assert (second.layout.interactions, second.style) == ((), None)
    write_json(layouts, tmp_path / "b.json")
    assert read_json(tmp_path / "b.json", "a") == layouts


def test_interactions_and_styles_are_part_of_the_identity(tmp_path: Path) -> None:
    def hash_of(**more: Any) -> str:
        return read_json(write(tmp_path / "a.json", {"k": record(**more)}), "a").hash

    other = {**TRIPLE, "action": "holding"}
    variants = [{}, {"interactions": [TRIPLE]}, {"interactions": [other]}, {"style": "s.png"}, {"style": "t.png"}]
    assert len({hash_of(**one) for one in variants}) == len(variants)
    assert hash_of(interactions=[], image_id=3) == hash_of()


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path: Path, coding: str) -> None:
    text = json.dumps({"k": record(image_id="ü")}, ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode(coding))
    assert read_json(tmp_path / "a.json", "a").entries[0].image_id == "ü"


@pytest.mark.parametrize(
    ("box", "read"),
    [
        ([0.5, 0.15, 1.0000001, 0.55], (0.5, 0.15, 1.0, 0.55)),
        ([-0.00099, 0, 1, 1.00099], (0.0, 0.0, 1.0, 1.0)),
    ],
)
def test_boxes_outside_by_rounding_are_clipped_and_counted(
    tmp_path: Path, box: list[float], read: tuple[float, ...]
) -> None:
    layouts = read_json(write(tmp_path / "a.json", {"k": record(box=box)}), "a")
    assert [one.box for one in layouts.entries[0].layout.instances] == [read, read]
    assert layouts.notes == ("2 boxes reach outside the picture by less than 0.001: clipped",)
    assert layouts.subset(5).notes == layouts.notes


def test_padding_is_left_out_and_counted(tmp_path: Path) -> None:
    content = record("a red circle", "a blue ring", image_id="1")
    plain = read_json(write(tmp_path / "a.json", {"k": content}), "a")
    padding = [{"label": "", "bbox": [0, 0, 0, 0]}] * 28
    padded = read_json(write(tmp_path / "b.json", {"k": content | {"segment": content["segment"] + padding}}), "a")
    assert padded == plain and padded.hash == plain.hash and plain.notes == ()
    assert padded.notes == ('28 instances of padding (label "" at [0, 0, 0, 0]): left out',)


def test_all_faults_of_a_file_are_named(tmp_path: Path) -> None:
    content = {
        "a": record(box=[0, 0, 1.1, 1], extra=1),
        "b": {"caption": 3, "segment": [{"label": " ", "bbox": [0, 0, 0, 1]}] * 2},
    }
    with pytest.raises(InputErrors) as caught:
        read_json(write(tmp_path / "bad.json", content), "bad")
    assert [one.field for one in caught.value.faults] == [
        *("a.extra", "a.segment[0].bbox", "a.segment[1].bbox"),
        *("b.caption", "b.segment[0].label", "b.segment[0].bbox", "b.segment[1].label", "b.segment[1].bbox"),
    ]
    assert all(one.file == tmp_path / "bad.json" for one in caught.value.faults)
    assert "\n" not in str(caught.value)


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
        (without("caption"), "k.caption: is missing"),
        (without("segment"), "k.segment: is missing"),
        (changed(caption=3), "k.caption: must be a text"),
        (changed(segment={}), "k.segment: must be a list"),
        (changed(segment=[3, 4]), "k.segment[0]: must be an object"),
        (changed(segment=[{"label": "a red ring"}]), "k.segment[0].bbox: is missing"),
        (changed(segment=[{"bbox": BOX}]), "k.segment[0].label: is missing"),
        (changed(image_id=[1]), "k.image_id: must be a text or an integer"),
        ({"k": record(box=[0, 0, 1.01, 1])}, "k.segment[0].bbox: x2 = 1.01 is outside [0, 1]"),
        ({"k": record(box=[-0.1, 0, 1, 1])}, "k.segment[0].bbox: x1 = -0.1 is outside [0, 1]"),
        ({"k": record(box=[0.5, 0, 0.5, 1])}, "k.segment[0].bbox: x2 ≤ x1 (0.5 ≤ 0.5)"),
        ({"k": record(box=[0, 0, 1])}, "k.segment[0].bbox: must be four numbers"),
        ({"k": record(box=[0, 0, 1, "1"])}, "k.segment[0].bbox: y2 is not a finite number"),
        ({"k": record(box=[0, float("nan"), 1, 1])}, "k.segment[0].bbox: y1 is not a finite number"),
        ({"k": record(box=[0, 0, 10**400, 1])}, "k.segment[0].bbox: x2 = a huge number is outside [0, 1]"),
        ({"k": record(*["a red ring"] * 13)}, "k.segment: 13 instances"),
        (changed(segment=[]), "k.segment: 0 instances"),
        ('{"k": 1, "k": 2}', "k: duplicate key"),
        (changed(segments=[]), "k.segments: is unknown; did you mean segment? there are: caption, segment, "),
        (changed(Caption="c"), "k.Caption: is unknown; did you mean caption?"),
        (changed(negative_prompt="bad"), "k.negative_prompt: is unknown; there are: caption, segment, interactions, "),
        (
            changed(segment=[{"label": "a red ring", "bbox": BOX, "boox": 1}] * 2),
            "k.segment[0].boox: is unknown; did you mean bbox? there are: label, bbox; also k.segment[1].boox",
        ),
        (changed(interactions=[{**TRIPLE, "acton": "x"}]), "k.interactions[0].acton: is unknown; did you mean action?"),
        (
            changed(interactions=[{**TRIPLE, "subject": {**TRIPLE["subject"], "lable": "x"}}]),
            "k.interactions[0].subject.lable: is unknown; did you mean label?",
        ),
        (
            changed(interactions=[{"subject": 3, "action": "x"}]),
            "k.interactions[0].subject: must be an object; also k.",
        ),
        (changed(interactions={}), "k.interactions: must be a list"),
        (changed(style="/s.png"), "k.style: must be the name of a file beside the layout file"),
        (changed(style="a/../../s.png"), "k.style: must be the name of a file beside the layout file"),
        (changed(style=3), "k.style: must be a text"),
        ({"k": record(box=[0, 0, 1.001, 1])}, "k.segment[0].bbox: x2 = 1.001 is outside [0, 1]"),
        ({"k": record(box=[1.0000001, 0, 1.0000002, 1])}, "k.segment[0].bbox: x2 ≤ x1 (1.0 ≤ 1.0): the box is empty"),
        ({"k": record(box=[0, 0, 0, 0])}, "k.segment[0].bbox: x2 ≤ x1 (0.0 ≤ 0.0)"),
        (changed(segment=[{"label": "", "bbox": BOX}] * 2), "k.segment[0].label: must be a non-empty text"),
    ],
)
def test_bad_json(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path / "bad.json", content)
    with pytest.raises(InputError) as caught:
        read_json(path, "bad")
    assert str(caught.value).startswith(f"{path}: {message}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "vocabulary", "noted"),
    [
        (
            ("a red ring", "a pink ring"),
            "own",
            ("by their place alone: 'a pink ring'", "as they are written: 'pink ring'"),
        ),
        (("ring",), "mini", ("1 of 1 instances name no colour that can be judged",)),
        (("red cat", "a red zebbra"), "own", ("1 of 2 instances have categories of your own", "(did you mean zebra?)")),
        (("A Red Bowl",), "own", ("1 of 1 instances have categories of your own", "'Bowl' (did you mean bowl?)")),
        (("a red bowl", "a red ring"), "own", ("categories are COCO's and shapes together, which the detector",)),
        (("red cat",), "coco", ()),
    ],
)
def test_own_words_are_read_and_noted(
    tmp_path: Path, labels: tuple[str, ...], vocabulary: str, noted: tuple[str, ...]
) -> None:
    found = read_json(write(tmp_path / "a.json", {"k": record(*labels)}), "a")
    assert found.vocabulary.name == vocabulary and found.levels == (len(labels),)
    assert all(text in "\n".join(found.notes) for text in noted) and bool(found.notes) == bool(noted)
    write_json(found, tmp_path / "b.json")
    assert read_json(tmp_path / "b.json", "a") == found


def test_a_hundred_thousand_instances_are_not_read(tmp_path: Path) -> None:
    segment = [{"label": "a red circle", "bbox": [0, 0, 1, 1]}] * 6 + ["not even looked at"] * 100_000
    path = write(tmp_path / "bad.json", {"k": {"caption": "c", "segment": segment}})
    with pytest.raises(InputError, match=r"k\.segment: 100006 instances; a layout of a set has 1 to 12"):
        read_json(path, "bad")


def test_an_ending_of_capitals_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "SET.JSON").write_text(json.dumps({"0": record()}))
    assert read_layouts(tmp_path / "SET.JSON").entries[0].key == "0"


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: is absent"):
        read_json(tmp_path / "none.json", "none")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xff")
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
        (CAPTION, YAML.replace("  coco_id: '9'\n", ""), f"m_anno.yaml: {CAPTION}.coco_id: is missing"),
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


def test_padding_in_migcs_form(tmp_path: Path) -> None:
    plain, padded = migc(tmp_path), migc(tmp_path, annotations=YAML + "  '':\n  - [0, 0, 0, 0]\n  - [0.0, 0, 0, 0]\n")
    assert padded == plain and padded.notes == ('2 instances of padding (label "" at [0, 0, 0, 0]): left out',)


HASHES = {"mig_bench.json": "f9da5dfe73a44376", "migc/mig_bench.txt": "3c025012cce1b59d"}


def test_hashes_of_the_public_files(coco_mig_dir: Path) -> None:
    """Random numbers are keyed by them: changed ones would change every picture."""
    assert {name: read_layouts(coco_mig_dir / name).hash[:16] for name in HASHES} == HASHES


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


def test_a_misspelt_segment_is_named_beside_the_missing_one(tmp_path: Path) -> None:
    path = write(tmp_path / "set.json", {"k": {"caption": "a", "segments": []}})
    with pytest.raises(InputErrors, match=r"k\.segments: is unknown; did you mean segment\?.*; also k\.segment$"):
        read_json(path, "set")

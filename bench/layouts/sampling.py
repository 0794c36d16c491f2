"""Builds a COCO-MIG set from COCO's captions and instances, by the rules of MIG-Bench's own sampler.

The records of one image, as MIG-Bench prepares them: ``{"h", "w", "captions": [text, …],
"segment": [{"bbox": xyxy in [0, 1], "label": category}, …]}`` by image id.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pycocotools.coco import COCO as Annotations

from amdm.errors import InputError
from amdm.mini.vocabulary import COLOURS, caption, label
from bench.layouts.layout_set import MAX_INSTANCES, MIN_INSTANCES

MIN_SIDE = 1 / 8
LEVELS = MAX_INSTANCES - MIN_INSTANCES + 1
DRAWS_PER_IMAGE = 1000
"""After this many draws for each image of the source the sampler gives up (the official one never does)."""

Images = Mapping[str, Mapping[str, Any]]


def prepare_images(captions: dict[str, Any], instances: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The records of every captioned image, in the order of the first captions.

    Args:
        captions, instances: parsed COCO annotation files. Crowd annotations are kept, as in the official table.

    Raises:
        InputError: not COCO annotations of one collection of images.
    """
    try:
        texts, objects = _indexed(captions), _indexed(instances)
        images: dict[str, dict[str, Any]] = {}
        for image_id, notes in texts.imgToAnns.items():
            width, height = texts.imgs[image_id]["width"], texts.imgs[image_id]["height"]
            segment = [
                {
                    "bbox": _normalised(one["bbox"], width, height),
                    "label": objects.cats[one["category_id"]]["name"],
                }
                for one in objects.imgToAnns.get(image_id, ())
            ]
            sentences = [note["caption"] for note in notes]
            images[str(image_id)] = {"h": height, "w": width, "captions": sentences, "segment": segment}
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise InputError(f"not COCO captions and instances of the same images: {error!r}") from None
    return images


def sample_records(images: Images, count: int, seed: int, official_quirks: bool = False) -> dict[str, dict[str, Any]]:
    """A set of ``count`` entries, equally many of each level 2 … 6: key → caption, segment, image_id.

    An image serves once. Its objects with a side under 1/8 are left out; of more than six, six stay, sorted by area;
    each gets a colour at random; an entry with a person, or with a caption that is there already, is refused.

    Args:
        official_quirks: draw as the official code does, so that ``random.seed`` gives the same set: images with
            replacement, each with a caption that is not used, and the first six objects instead of the largest.

    Raises:
        InputError: count not a positive multiple of 5, or images that cannot fill the levels.
    """
    if count < 1 or count % LEVELS:
        raise InputError(f"{count} is not a positive multiple of {LEVELS}", field="count")
    generator = random.Random(seed)
    used: set[str] = set()
    filled: Counter[int] = Counter()
    captions: set[str] = set()
    records: dict[str, dict[str, Any]] = {}
    for image_id in _drawn(images, generator, used, official_quirks):
        objects = _retained(images[image_id]["segment"], largest=not official_quirks)
        if len(objects) < MIN_INSTANCES:
            continue
        used.add(image_id)
        record = _coloured(objects, image_id, generator)
        level, person = len(objects), any(one["label"] == "person" for one in objects)
        if person or filled[level] == count // LEVELS or record["caption"] in captions:
            continue
        filled[level] += 1
        captions.add(record["caption"])
        records[str(len(records))] = record
        if len(records) == count:
            return records
    lacking = ", ".join(f"L{k}: {filled[k]}" for k in range(MIN_INSTANCES, MAX_INSTANCES + 1))
    raise InputError(
        f"the images do not suffice for {count // LEVELS} entries a level (found {lacking})", field="count"
    )


def _drawn(images: Images, generator: random.Random, used: set[str], with_replacement: bool) -> Iterator[str]:
    """Image ids in the order of trying: a shuffle, or the official draws that pass over ``used`` ones."""
    ids = list(images)
    if not with_replacement:
        generator.shuffle(ids)
        yield from ids
        return
    for _ in range(DRAWS_PER_IMAGE * len(ids)):
        image_id = generator.choice(ids)
        if image_id not in used:
            generator.choice(images[image_id]["captions"])
            yield image_id


def _retained(segment: list[dict[str, Any]], largest: bool) -> list[dict[str, Any]]:
    """The objects that an entry is made of, in its order: annotation order up to six, by area where there were more."""
    kept = [one for one in segment if min(_sides(one["bbox"])) >= MIN_SIDE]
    if len(kept) <= MAX_INSTANCES:
        return kept
    by_area = sorted(kept if largest else kept[:MAX_INSTANCES], key=lambda one: -_area(one["bbox"]))
    return by_area[:MAX_INSTANCES]


def _coloured(objects: list[dict[str, Any]], image_id: str, generator: random.Random) -> dict[str, Any]:
    labels = [label(generator.choice(COLOURS), one["label"]) for one in objects]
    segment = [{"bbox": one["bbox"], "label": text} for one, text in zip(objects, labels, strict=True)]
    return {"caption": caption(labels), "segment": segment, "image_id": image_id}


def _sides(box: list[float]) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _area(box: list[float]) -> float:
    width, height = _sides(box)
    return width * height


def _normalised(box: list[float], width: float, height: float) -> list[float]:
    """COCO's (x, y, width, height) in pixels → xyxy as fractions."""
    x, y, w, h = box
    return [x / width, y / height, (x + w) / width, (y + h) / height]


def _indexed(dataset: dict[str, Any]) -> Annotations:
    annotations = Annotations()
    annotations.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):  # createIndex reports its progress there
        annotations.createIndex()
    return annotations

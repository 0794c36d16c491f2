"""Builds a COCO-MIG set from COCO's captions and instances, by the rules of MIG-Bench's own sampler.

The records of one image, as MIG-Bench prepares them: ``{"h", "w", "captions": [text, …],
"segment": [{"bbox": xyxy in [0, 1], "label": category}, …]}`` by image id.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from amdm.errors import Faults, InputError, in_file
from amdm.mini.vocabulary import COLOURS, caption, label
from bench.layouts.annotations import ID, check_one_kind, indexed, picture_size, segment_of

MIN_INSTANCES, MAX_INSTANCES = 2, 6
"""The benchmark's own levels; a set of another kind may have others."""
MIN_SIDE = 1 / 8
LEVELS = MAX_INSTANCES - MIN_INSTANCES + 1
DRAWS_PER_IMAGE = 1000
"""After this many draws for each image of the source the sampler gives up (the official one never does)."""

Images = Mapping[str, Mapping[str, Any]]


def prepare_images(
    captions: dict[str, Any],
    instances: dict[str, Any],
    notes: list[str] | None = None,
    files: tuple[object, object] = (None, None),
) -> dict[str, dict[str, Any]]:
    """The records of every captioned image, in the order of the first captions.

    Args:
        captions, instances: parsed COCO annotation files. Crowd annotations are kept, as in the official table. What
            has no box, none with an area, or an image without captions is left out; a box that reaches outside by up
            to a pixel is clipped.
        notes: to this are added lines that say how many were left out or clipped.
        files: the two, for messages.

    Raises:
        InputError: naming the file, the annotation, its image and its field where it is none of COCO's.
    """
    faults, counts = Faults(), Counter[str]()
    texts, objects = _indexed(captions, instances, files)
    images: dict[str, dict[str, Any]] = {}
    for image_id, sentences in texts.imgToAnns.items():
        with faults.at():
            with in_file(files[0]):
                size = picture_size(image_id, texts)
            with in_file(files[1]):
                segment = segment_of(objects.imgToAnns.get(image_id, []), size, objects.cats, counts)
            own = [one["caption"] for one in sentences]
            images[str(image_id)] = {"h": size[1], "w": size[0], "captions": own, "segment": segment}
    faults.check()
    counts["of an image without captions, left out"] += sum(
        len(found) for image_id, found in objects.imgToAnns.items() if image_id not in texts.imgToAnns
    )
    if notes is not None:
        notes += [f"{count} annotation{'s'[: count > 1]} {what}" for what, count in sorted(counts.items()) if count]
    return images


def _indexed(captions: dict[str, Any], instances: dict[str, Any], files: tuple[object, object]) -> tuple[Any, Any]:
    """Both files' annotations, as pycocotools has them."""
    with in_file(files[0]):
        texts = indexed(captions, {"caption": str})
    with in_file(files[1]):
        objects = indexed(instances, {"category_id": ID})
    with in_file(files[0]):
        check_one_kind(texts, objects)
    return texts, objects


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
    by_area = sorted(kept if largest else kept[:MAX_INSTANCES], key=lambda one: -math.prod(_sides(one["bbox"])))
    return by_area[:MAX_INSTANCES]


def _coloured(objects: list[dict[str, Any]], image_id: str, generator: random.Random) -> dict[str, Any]:
    labels = [label(generator.choice(COLOURS), one["label"]) for one in objects]
    segment = [{"bbox": one["bbox"], "label": text} for one, text in zip(objects, labels, strict=True)]
    return {"caption": caption(labels), "segment": segment, "image_id": image_id}


def _sides(box: list[float]) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]

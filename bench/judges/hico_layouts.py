"""Interactions that layouts ask for, judged by what a detector of human-object interactions found, recorded as JSON.

Of the triplets that HICO-DET's rules count in a picture, those are of an interaction whose boxes both overlap the asked
ones by more than 0.5 and whose object is the one asked for; the likeliest verb among them is what was found, and where
it is :data:`NOTHING`, nothing. What the subject is stands in no class, and is not compared. There is no threshold. How
often such a detector is right on generated pictures is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amdm.errors import InputError, in_file
from amdm.layout import Box
from bench.cocomig.action_style import ActionVerdict, action_outcome
from bench.judges.hico import OVERLAP, HOIClass, Triplets, counted, hico_map, iou, means, read_detections, triplets_of
from bench.judges.registry import JudgeSpec
from bench.layouts.layout_set import AskedAction, Entry

NOTHING = "no interaction"
"""HICO-DET's verb of a person and an object between whom nothing happens, one of each object's classes."""


class AskedPicture(NamedTuple):
    """name: the picture's in the detections. size: (height, width), pixels."""

    name: str
    size: tuple[int, int]
    entry: Entry


@dataclass(frozen=True)
class LayoutDetections:
    """What was found in pictures, by name, and the classes that were looked for. path: where it was recorded."""

    path: Path
    classes: tuple[HOIClass, ...]
    images: Mapping[str, list[Any]]

    @classmethod
    def read(cls, path: Path) -> LayoutDetections:
        """``{"classes": [[verb, object], …], "rare": [index, …], "images": {name: [triplet, …]}}``, triplets with a
        ``"score"``.

        Raises:
            InputError: it is no such file. Triplets are checked when they are used.
        """
        return cls(path, *read_detections(path))

    def class_of(self, entry: Entry, asked: AskedAction) -> int | None:
        """The class that an interaction is of, by verb and object's category; None of none."""
        thing = _plain(entry.labels[asked.object].category)
        fits = (is_verb(asked.action, one.verb) and _plain(one.object) == thing for one in self.classes)
        return next((k for k, fitting in enumerate(fits) if fitting), None)

    def judge(self, pictures: Sequence[AskedPicture]) -> list[dict[int, ActionVerdict]]:
        """Of each picture the verdicts on its interactions (:attr:`Entry.pairs`) of some class, by their place there.

        Raises:
            InputError: a picture is not among the detections (it would count as one in which nothing was found), or a
                triplet is none.
        """
        found = counted(self._found(pictures))
        verdicts = []
        for k, picture in enumerate(pictures):
            own = found.at(found.picture == k)
            entry, pairs = picture.entry, enumerate(picture.entry.pairs)
            asked = {n: one for n, one in pairs if self.class_of(entry, one) is not None}
            verdicts.append({n: self._verdict(picture, one, own) for n, one in asked.items()})
        return verdicts

    def precision(self, pictures: Sequence[AskedPicture]) -> tuple[float | None, float | None]:
        """HICO-DET's mean average precision (default, known object) on what the layouts ask for, fractions; None where
        they ask for nothing of any class. What a layout asks for twice is one pair: a detector finds it once. Raises
        InputError as :meth:`judge`."""
        rows = []
        for k, picture in enumerate(pictures):
            of_class = ((self.class_of(picture.entry, asked), asked) for asked in picture.entry.pairs)
            pairs = {(kind, one.subject, one.object): one for kind, one in of_class if kind is not None}
            rows += [(k, kind, *_ends(picture, one)) for (kind, *_), one in pairs.items()]
        if not rows:
            return None, None
        places, kinds, human, thing = (np.array(column) for column in zip(*rows, strict=True))
        truth = Triplets(places, kinds, human, thing, np.ones(len(rows)))
        full = means(hico_map(self._found(pictures), truth, self.classes)).set_index("setting").full / 100
        return float(full["default"]), float(full["known_object"])

    def _found(self, pictures: Sequence[AskedPicture]) -> Triplets:
        with in_file(self.path):
            if lacking := [one.name for one in pictures if one.name not in self.images]:
                raise InputError(f"{len(lacking)} pictures of the run are not there", field=f"images.{lacking[0]}")
            return triplets_of(self.images, tuple(one.name for one in pictures), len(self.classes))

    def _verdict(self, picture: AskedPicture, asked: AskedAction, found: Triplets) -> ActionVerdict:
        """found: what counts in the picture, the likeliest first."""
        human, thing = _ends(picture, asked)
        wanted = _plain(picture.entry.labels[asked.object].category)
        best: dict[str, float] = {}
        for k in range(len(found.score)):
            one = self.classes[int(found.hoi[k])]
            near = min(iou(human, found.human[k : k + 1])[0], iou(thing, found.object[k : k + 1])[0]) > OVERLAP
            if near and _plain(one.object) == wanted:
                best.setdefault(_plain(one.verb), float(found.score[k]))
        if not best:
            return ActionVerdict(None, action_outcome(asked.action, None, False), 0.0)
        (verb, first), *others = best.items()
        name = asked.action if is_verb(asked.action, verb) else None if verb == NOTHING else verb
        return ActionVerdict(name, action_outcome(asked.action, name, False), first - (others[0][1] if others else 0.0))


SPEC = JudgeSpec("recorded detections of interactions", "action", mini=False, load=LayoutDetections.read)


def _ends(picture: AskedPicture, asked: AskedAction) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of subject and object in pixels, the last one included, as HICO-DET writes them."""
    boxes = [picture.entry.layout.instances[one].box for one in (asked.subject, asked.object)]
    return _in_pixels(boxes[0], picture.size), _in_pixels(boxes[1], picture.size)


def _in_pixels(box: Box, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    return np.array([box[0] * width, box[1] * height, box[2] * width - 1, box[3] * height - 1])


def is_verb(action: str, verb: str) -> bool:
    """Whether the action that a layout asks for is a detector's verb, in its plain form or its present participle.

    >>> is_verb("sitting on", "sit_on"), is_verb("ride", "ride"), is_verb("Riding", "ride"), is_verb("riding", "read")
    (True, True, True, False)
    """
    first, _, rest = _plain(verb).partition(" ")
    forms = {first, f"{first}ing"}
    if first.endswith("ie"):
        forms.add(f"{first[:-2]}ying")  # lie
    elif first.endswith("e"):
        forms.add(f"{first[:-1]}ing")  # ride
    elif first[-1:] not in "aeiouwxy":
        forms.add(f"{first}{first[-1:]}ing")  # sit
    asked, _, others = _plain(action).partition(" ")
    return asked in forms and others == rest


def _plain(words: str) -> str:
    """As names are compared: HICO-DET writes ``dining_table``."""
    return " ".join(words.casefold().replace("_", " ").split())

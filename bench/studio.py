"""The judge of ``amdm studio``: the verdicts of the benchmark on one picture of the mini world.

``amdm`` finds it by the entry point ``amdm.studio`` in pyproject.toml, and imports nothing from here.
"""

from __future__ import annotations

import threading
from functools import cached_property

import numpy as np
from PIL import Image

from amdm.layout import Interaction, Layout
from amdm.mini.marks import SIZE
from amdm.mini.vocabulary import label
from amdm.studio.judged import BoxVerdict, Judged, Kind, OtherVerdict
from bench.cocomig.action_style import action_outcome
from bench.cocomig.colour import HSV_RANGES
from bench.cocomig.finding import UNNAMED, Finding, as_told
from bench.cocomig.verdict import IOU_THRESHOLD, Failure, Verdict
from bench.detectors.detector import Detector
from bench.judges.conditions import Judges, load_judges
from bench.layouts.layout_set import Entry, Label
from bench.layouts.vocabulary import MINI
from bench.stages.verdicts import categories_of, judge_picture

KINDS: dict[Failure, Kind] = {
    "none": "right",
    "nothing_detected": "nothing",
    "wrong_place": "wrong_place",
    "wrong_colour": "wrong_colour",
}
OUTCOMES = {"right": "right", "other": "another action", "none": "no mark", "reversed": "reversed"}


def judge(profile: str) -> MiniJudge | None:
    """The judge of a profile's pictures: of the mini ones alone, as judges of full size take a minute a picture."""
    return MiniJudge() if profile == "mini" else None


class MiniJudge:
    """The mini detector with the rules of COCO-MIG, and the judges of actions and styles; loaded at the first picture.

    Verdicts are those that ``amdm-bench`` gives. What is not of the mini vocabulary is not judged, and said so.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @cached_property
    def _detector(self) -> Detector:
        from bench.detectors.registry import load_detector

        return load_detector("mini")

    @cached_property
    def _judges(self) -> Judges:
        return load_judges()

    def __call__(self, image: np.ndarray, layout: Layout, style: Image.Image | None) -> Judged:
        """See :class:`amdm.studio.judged.Judge`."""
        with self._lock:
            return Judged(self._boxes(image, layout), (*self._actions(image, layout), *self._style(image, style)))

    def _boxes(self, image: np.ndarray, layout: Layout) -> tuple[BoxVerdict, ...]:
        known = [k for k, one in enumerate(layout.instances) if _label(one.phrase) is not None]
        verdicts = [BoxVerdict("unjudged", "not a colour and a shape of the mini world")] * len(layout.instances)
        if known:
            entry = Entry(0, "0", "", Layout(layout.caption, tuple(layout.instances[k] for k in known)))
            (found,) = self._detector.find([image], [categories_of(entry)])
            judged = judge_picture(image, entry, found)
            for k, own, one in zip(known, entry.labels, judged, strict=True):
                verdicts[k] = _verdict(own, one.verdict, one.finding)
        return tuple(verdicts)

    def _actions(self, image: np.ndarray, layout: Layout) -> list[OtherVerdict]:
        judged = [one for one in layout.interactions if _is_judged(one)]
        pairs = [[(one.subject.box, one.object.box) for one in judged]]
        readings = iter(self._judges.action.judge([image], pairs)[0] if judged else ())
        found = []
        for one in layout.interactions:
            asked = f"{_short(one.subject.phrase)} {one.action} {_short(one.object.phrase)}"
            if not _is_judged(one):
                found.append(OtherVerdict(asked, None, "not an action of the mini world"))
                continue
            reading = next(readings)
            outcome = action_outcome(one.action, reading.found, reading.reversed)
            seen = f"found {reading.found}" if outcome == "other" else OUTCOMES[outcome]
            found.append(OtherVerdict(asked, outcome == "right", seen))
        return found

    def _style(self, image: np.ndarray, style: Image.Image | None) -> list[OtherVerdict]:
        """The reference's own style is read off it; a picture of another size is none of the mini world."""
        if style is None:
            return []
        if style.size != (SIZE, SIZE):
            return [OtherVerdict("style", None, f"only style pictures of {SIZE}×{SIZE} are judged")]
        own, asked = self._judges.style.judge([image, np.asarray(style)])
        return [OtherVerdict(f"style {asked.found}", own.found == asked.found, f"found {own.found}")]


def _label(phrase: str) -> Label | None:
    """Of the mini vocabulary, or None; the words are those that :func:`amdm.studio.work.notes` knows."""
    known = phrase in {label(colour, category) for colour in HSV_RANGES for category in MINI.categories}
    return Label.parse(phrase) if known else None


def _is_judged(one: Interaction) -> bool:
    return one.action in MINI.actions and one.subject != one.object


def _verdict(asked: Label, verdict: Verdict, finding: Finding) -> BoxVerdict:
    """With the numbers behind it, as the page of a run has them."""
    kind = KINDS[verdict.failure]
    if kind == "nothing":
        return BoxVerdict(kind, f"no {asked.category} detected")
    parts = [f"IoU {as_told(verdict.iou, IOU_THRESHOLD):.2f}"]
    if finding.share is not None and finding.colour is not None:
        named = finding.colour != UNNAMED
        parts.append(f"{100 * finding.share:.0f} % {finding.colour}" if named else "no named colour")
    return BoxVerdict(kind, ", ".join(parts), finding.box)


def _short(phrase: str) -> str:
    return phrase.removeprefix("a ").removeprefix("an ")

"""What the page shows of a job, as JSON that its script draws; texts stay texts there."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import Image

from amdm.model_set import LoadOptions
from amdm.studio.choices import Choices, Run
from amdm.studio.drawing import Drawing
from amdm.studio.judged import SIGNS, Judged
from amdm.studio.repeat import python_lines, shell_lines
from amdm.studio.work import Ended, Told, Waiting

PREVIEW_SIDE = 256
LOADING = "loading the models"


@dataclass
class Shown:
    """A job on the page, brought up to date by :meth:`take`; :meth:`view` is what the page is sent.

    notes: lines above the pictures.
    """

    drawing: Drawing
    choices: Choices
    runs: Sequence[Run]
    loading: LoadOptions
    notes: Sequence[str] = ()
    _panels: list[dict[str, Any]] = field(init=False)
    _state: str = field(init=False, default="running")
    _message: str = field(init=False, default=LOADING)
    _done: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._panels = [
            {"title": one.title, "about": _about(one, self.choices), "note": "waiting", "image": None}
            for one in self.runs
        ]

    def take(self, update: Told) -> None:
        """What :meth:`amdm.studio.work.Studio.draw` told."""
        if isinstance(update, Ended):
            self._end(update)
            return
        if isinstance(update, Waiting):
            waiting = f"waiting: {update.before} job{'s'[: update.before > 1]} before this one"
            self._message = waiting if update.before else LOADING
            return
        panel, steps = self._panels[update.number], self.choices.steps
        self._done = update.number * steps + update.step
        self._message = f"{self.runs[update.number].title}: step {update.step} of {steps}"
        panel["note"] = "" if update.done else f"step {update.step} of {steps}"
        if update.image is not None:
            panel["image"] = picture_url(update.image, None if update.done else PREVIEW_SIDE)
        if update.done:
            panel |= self._result(self.runs[update.number], update.judged)

    def _end(self, ended: Ended) -> None:
        self._state = "failed" if ended.message else "cancelled" if ended.cancelled else "done"
        self._message = ended.message or ("cancelled" if ended.cancelled else "done")
        for panel in self._panels:
            if panel["note"]:
                panel["note"] = "not finished"

    def _result(self, run: Run, judged: Judged | None) -> dict[str, Any]:
        about = run, self.choices.profile, self.choices.seed
        lines = {"shell": shell_lines(*about, self.loading), "python": python_lines(*about, self.drawing, self.loading)}
        return lines | ({} if judged is None else verdicts(judged))

    def view(self) -> dict[str, Any]:
        """Plain JSON: state, message, progress (done, of), boxes asked for, panels."""
        boxes = [{"phrase": one.phrase, "box": one.box} for one in self.drawing.layout.instances]
        return {
            "state": self._state,
            "message": self._message,
            "progress": [self._done, len(self.runs) * self.choices.steps],
            "notes": list(self.notes),
            "boxes": boxes,
            "panels": self._panels,
        }


def _about(run: Run, choices: Choices) -> str:
    """What a panel says below its title."""
    if len(run.models) > 1:
        return f"{' + '.join(run.models)}, {choices.semantics}"
    return "the target" if run.models[0] == choices.target else "an auxiliary"


def message_view(message: str) -> dict[str, Any]:
    """Nothing but a message: what was wrong with the input."""
    return {"state": "failed", "message": message, "progress": [0, 1], "notes": [], "boxes": [], "panels": []}


def verdicts(judged: Judged) -> dict[str, Any]:
    """Of one picture: a verdict each box, the others in words, and how many are right of those that were judged."""
    boxes = [
        {"kind": one.kind, "letter": SIGNS[one.kind][0], "words": SIGNS[one.kind][1], "reason": one.reason}
        | ({"found": one.found} if one.found is not None else {})
        for one in judged.boxes
    ]
    signs = {True: ("right", "✓"), False: ("wrong_place", "✗"), None: ("unjudged", "–")}
    others = [
        {"kind": signs[one.right][0], "letter": signs[one.right][1], "asked": one.asked, "reason": one.reason}
        for one in judged.others
    ]
    counted = [one.kind == "right" for one in judged.boxes if one.kind != "unjudged"]
    counted += [one.right for one in judged.others if one.right is not None]
    return {"verdicts": boxes, "others": others, "score": [sum(counted), len(counted)]}


def picture_url(image: Image.Image, side: int | None = None) -> str:
    """A picture as a data URL, PNG; no longer than ``side``, where that is given."""
    if side is not None and max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side))
    file = BytesIO()
    image.save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"

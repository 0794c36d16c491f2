"""Drawing the pictures: models held between runs, progress and a preview at each step, and an end on request."""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Layout
from amdm.loading import load_models
from amdm.mini.vocabulary import ACTIONS, LABELS
from amdm.model_set import LoadOptions, ModelSet
from amdm.pipeline import AMDMPipeline, AMDMPipelineOutput
from amdm.presets.profile import load_profile
from amdm.studio.choices import Choices, Run
from amdm.studio.drawing import Drawing
from amdm.studio.judged import Judge, Judged, not_judged
from amdm.studio.turns import Turns

FAILED = "the run failed; the terminal that started the studio says where"
MAX_WAITING = 8
"""Jobs; one is drawn beside these."""


@dataclass(frozen=True)
class Update:
    """What happened. number: of the run, from 0. step: steps done of its T. image: RGB, a preview or, in the last
    update of a run (``done``), the picture. judged: with it, where there is a judge."""

    number: int
    step: int
    image: Image.Image | None = None
    done: bool = False
    judged: Judged | None = None


@dataclass(frozen=True)
class Waiting:
    """Other jobs are drawn first. before: how many."""

    before: int


@dataclass(frozen=True)
class Ended:
    """The last of a job's updates. message: "" where all is well, else what to say. cancelled: it was asked to end."""

    message: str = ""
    cancelled: bool = False


@dataclass(frozen=True)
class Job:
    """What is to be drawn: every run's picture of one drawing. cancel: set from another thread, it ends the job within
    a step."""

    drawing: Drawing
    choices: Choices
    runs: tuple[Run, ...]
    cancel: threading.Event = field(default_factory=threading.Event)


Told = Update | Waiting | Ended
Tell = Callable[[Told], None]


class Studio:
    """Models of one profile, held between runs. One job at a time: others wait in turn, :data:`MAX_WAITING` at most.

    Args:
        judge: of the profile's pictures; None leaves them without verdicts.
    """

    def __init__(self, profile: str, loading: LoadOptions, judge: Judge | None = None) -> None:
        self.profile, self.loading, self.judge = profile, loading, judge
        self._models: ModelSet | None = None
        self._turns = Turns(MAX_WAITING)

    def draw(self, job: Job) -> Iterator[Told]:
        """Draw the pictures, one after the other, in a thread; the last update is :class:`Ended`.

        Whoever stops reading cancels the job. A reader that is slower than the models is not given every preview.
        """
        told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        thread = threading.Thread(target=self._work, args=(job, told.put), daemon=True)
        thread.start()
        try:
            while True:
                update = told.get()
                while not told.empty() and isinstance(update, Update) and not update.done:
                    update = told.get()
                yield update
                if isinstance(update, Ended):
                    return
        finally:
            job.cancel.set()
            thread.join()

    def _work(self, job: Job, tell: Tell) -> None:
        try:
            with self._turns.turn(job.cancel, lambda before: tell(Waiting(before))) as came:
                if came:
                    self._draw_all(job, tell)
            tell(Ended(cancelled=job.cancel.is_set()))
        except InputError as error:
            tell(Ended(str(error)))
        except torch.OutOfMemoryError:
            tell(Ended("the device has not enough memory for these models: take fewer of them"))
        except Exception:  # whatever it is, the page must say that nothing more will come
            traceback.print_exc(file=sys.stderr)
            tell(Ended(FAILED))

    def _draw_all(self, job: Job, tell: Tell) -> None:
        models = self._held({name for run in job.runs for name in run.models})
        for number in range(len(job.runs)):
            image = self._picture(models, job, number, tell)
            if image is None:
                return
            tell(Update(number, job.choices.steps, image, True, self._verdicts(image, job.drawing)))

    def _picture(self, models: ModelSet, job: Job, number: int, tell: Tell) -> Image.Image | None:
        """Of one run; None where the job was asked to end."""
        run = job.runs[number]
        settings = load_profile(self.profile).method(run.preset, run.overrides)
        pipe = AMDMPipeline(models, settings, self.profile, run.preset)
        pipe.set_progress_bar_config(disable=True)

        def step_done(pipe: AMDMPipeline, i: int, t: float, given: dict[str, Any]) -> dict[str, Any]:
            if job.cancel.is_set():
                pipe._interrupt = True
            else:
                tell(Update(number, i + 1, preview(pipe, run.models[0], given["latents"])))
            return {}

        made = pipe(
            job.drawing.layout,
            ip_adapter_image=None if job.drawing.style is None else job.drawing.style.image,
            generator=torch.Generator().manual_seed(job.choices.seed),
            callback_on_step_end=step_done,
        )
        assert isinstance(made, AMDMPipelineOutput)
        if job.cancel.is_set():
            return None
        if not made.finite[0]:
            raise InputError(f"{run.title}: the picture became NaN or infinite; take other settings")
        image: Image.Image = made.images[0]  # type: ignore[assignment]
        return image

    def _held(self, names: set[str]) -> ModelSet:
        """A set with these models: the one held, or a new one with what that has, too."""
        if self._models is None or names - set(self._models.models):
            wanted = sorted(names | set(self._models.models if self._models is not None else ()))
            self._models = None  # before the new ones are read: there may not be room for both
            self._models = load_models(self.profile, wanted, self.loading)
        return self._models

    def _verdicts(self, image: Image.Image, drawing: Drawing) -> Judged | None:
        if self.judge is None:
            return None
        style = None if drawing.style is None else drawing.style.image
        try:
            return self.judge(np.asarray(image), drawing.layout, style)
        except Exception as error:  # whatever it is, the picture is there
            traceback.print_exc(file=sys.stderr)
            return not_judged(drawing.layout, f"the judge failed: {type(error).__name__}")


def preview(pipe: AMDMPipeline, model: str, latents: torch.Tensor) -> Image.Image:
    """The state of a step (1, C, h, w), decoded as it stands, noise and all."""
    pictures = pipe.models.decode(latents, model)
    image: Image.Image = pipe.image_processor.postprocess(pictures.float(), output_type="pil")[0]
    return image


def conditions(drawing: Drawing) -> tuple[str, ...]:
    """What the drawing holds, by the names of :data:`amdm.models.control.Conditioning`."""
    found = {"interactions": bool(drawing.layout.interactions), "style": drawing.style is not None}
    return ("instances", *(name for name, there in found.items() if there))


def notes(profile: str, layout: Layout) -> list[str]:
    """What the mini models will not draw, in words."""
    if profile != "mini":
        return []
    strange = [one.phrase for one in layout.instances if one.phrase not in LABELS]
    strange += [one.action for one in layout.interactions if one.action not in ACTIONS]
    if not strange:
        return []
    shown = ", ".join(f"“{one}”" for one in dict.fromkeys(strange[:4]))
    return [f"the mini models do not know {shown}: they draw noise there, and it is not judged"]

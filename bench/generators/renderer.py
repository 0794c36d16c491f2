"""True renderings of the mini world as a generator: the upper bound of every mini table."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from amdm.layout import Layout
from amdm.mini.vocabulary import ACTIONS
from bench.job.batches import CEILING
from bench.layouts.layout_set import Label

if TYPE_CHECKING:
    from amdm.mini.scenes import Scene


def true_renderings(
    layouts: Sequence[Layout], keys: Sequence[str], styles: Sequence[str] | None = None
) -> SimpleNamespace:
    """Pictures of the layouts as the mini world's renderer draws them, with the marks of its actions.

    styles: a name for each, which the renderer knows where models are shown a picture; without them all are plain.
    """
    from amdm.mini.renderer import render
    from amdm.mini.scenes import scene_generator

    named = styles or ["plain"] * len(layouts)
    scenes = [_scene(layout, style) for layout, style in zip(layouts, named, strict=True)]
    drawn = [
        render(scene, scene_generator(f"{CEILING}:{key}", 0, 0)).image for scene, key in zip(scenes, keys, strict=True)
    ]
    return SimpleNamespace(images=np.stack(drawn), finite=[True] * len(drawn), evaluations={})


def _scene(layout: Layout, style: str) -> Scene:
    from amdm.mini.scenes import Scene, SceneAction, SceneObject

    labels = [Label.parse(one.phrase) for one in layout.instances]
    objects = [
        SceneObject(label.colour, label.category, one.box) for label, one in zip(labels, layout.instances, strict=True)
    ]
    place = {one: k for k, one in enumerate(layout.instances)}
    actions = [
        SceneAction(place[one.subject], one.action, place[one.object])
        for one in layout.interactions
        if one.action in ACTIONS and one.subject != one.object
    ]
    return Scene(tuple(objects), tuple(actions), style)

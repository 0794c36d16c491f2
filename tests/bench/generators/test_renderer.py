"""True renderings show what a layout asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from amdm.mini.marks import strip
from bench.generators.renderer import true_renderings
from bench.job.conditions import true_conditions_of
from bench.layouts.named import load_layouts

ENTRIES = load_layouts("mini-combined").entries[:10]
KEYS = [f"t/{entry.index}" for entry in ENTRIES]


def test_marks_stand_between_subject_and_object_alone() -> None:
    layouts = [entry.layout for entry in ENTRIES]
    bare = [replace(one, interactions=()) for one in layouts]
    drawn, without = (true_renderings(own, KEYS).images.astype(int) for own in (layouts, bare))
    for layout, one, other in zip(layouts, drawn, without, strict=True):
        between = np.zeros(one.shape[:2], dtype=bool)
        for triple in layout.interactions:
            area = strip(triple.subject.box, triple.object.box)
            between |= area
            assert (np.abs(one - other).max(-1) > 40)[area].mean() > 0.1, triple


def test_the_ground_has_the_style_that_the_file_names() -> None:
    assert true_conditions_of(ENTRIES) == {"styles": [entry.style_name for entry in ENTRIES]}
    layouts = [ENTRIES[0].layout] * 2
    plain, styled = true_renderings(layouts, ["same", "same"], ["plain", "stripes"]).images.astype(int)
    assert np.abs(plain - styled).mean() > 8
    assert np.array_equal(plain, true_renderings(layouts[:1], ["same"]).images[0])

"""Interactions and instances: none is dropped."""

from __future__ import annotations

from dataclasses import replace

import torch

from amdm.layout import Instance, Interaction, Layout
from amdm.methods import load_methods
from tests.amdm.models.test_every_model import build, request

CROSS, RING = Instance("a red cross", (0.1, 0.1, 0.5, 0.5)), Instance("a blue ring", (0.5, 0.5, 0.9, 0.9))
SAME_BOX = Instance("a green arch", CROSS.box)
PAIR = Interaction(CROSS, "and", RING)


def test_an_instance_of_an_interaction_is_no_second_time() -> None:
    assert Layout("c", (RING, CROSS), (PAIR,)).triples() == (PAIR,)
    assert Layout("c", (CROSS,)).triples() == (Interaction(CROSS, "and", CROSS),)


def test_another_phrase_on_the_box_of_a_subject_or_an_object_is_kept() -> None:
    on_object = Instance("a white square", RING.box)
    found = Layout("c", (SAME_BOX, CROSS, on_object), (PAIR,)).triples()
    assert found == (PAIR, *(Interaction(one, "and", one) for one in (SAME_BOX, on_object)))


@torch.no_grad()
def test_interactdiffusion_reads_it() -> None:
    model = build("interactdiffusion")
    asked = request(model, slice(0, 1))
    layouts = [
        Layout("c", extra, (PAIR,)) for extra in ((), (SAME_BOX,), (replace(SAME_BOX, phrase="a white square"),))
    ]
    x = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    first, second, third = (model.bind(replace(asked, layouts=(one,)))(x, 500, 0) for one in layouts)
    assert (first - second).abs().max() > 1e-4 and (second - third).abs().max() > 1e-4
    assert model.conditions([layouts[1]]).masks.sum() == 2  # type: ignore[attr-defined]


def test_category_only_phrases_keep_them_apart_too() -> None:
    method = load_methods("mini", ["interactdiffusion-category"])["interactdiffusion-category"]
    layout = Layout("a photo of a red cross ", (CROSS, SAME_BOX), (PAIR,))
    (one,) = method.bind([layout], ["k"])
    (plain,) = method.bind([replace(layout, instances=(CROSS,))], ["k"])
    with torch.inference_mode():
        ours, theirs = (one.denoiser(one.latents, 500, 0) for one in (one, plain))
    assert not torch.equal(ours, theirs)

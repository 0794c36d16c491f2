"""Every composition as a preset of the mini world: what it draws is a picture, and costs what it says."""

from __future__ import annotations

import pytest
import torch

from amdm.layout import Instance, Interaction, Layout
from amdm.methods import Method, load_methods
from amdm.models.geometry import box_mask
from amdm.presets.profile import load_profile
from bench.layouts.named import load_layouts

LAYOUTS = [entry.layout for entry in load_layouts("mini-tune").entries[:2]]
NAMES = tuple(
    f"interactdiffusion+migc@{name}"
    for name in (
        *("mean-epsilon", "composable", "projective", "alternate", "multidiffusion", "superdiff-and", "fkc", "lol"),
        *("true-slerp", "rebuttal", "rebuttal-latent"),
    )
)
STEPS = 9


@pytest.fixture(scope="module")
def methods() -> dict[str, Method]:
    return load_methods("mini", ("interactdiffusion", "switch", *NAMES), [f"settings.all.num_inference_steps={STEPS}"])


@pytest.mark.parametrize("name", ["switch", *NAMES])
def test_evaluations_are_told_and_counted(methods: dict[str, Method], name: str) -> None:
    method = methods[name]
    made = method.generate(LAYOUTS, ["a", "b"])
    assert made.images.shape == (2, 64, 64, 3) and all(made.finite)
    assert list(made.evaluations.values()) == method.composition.evaluations(len(method.settings.models), STEPS)
    assert list(made.evaluations) == list(method.settings.models)
    assert (made.images != methods["interactdiffusion"].generate(LAYOUTS, ["a", "b"]).images).any()


@pytest.mark.parametrize("name", [f"interactdiffusion+migc@{name}" for name in ("superdiff-and", "fkc")])
def test_noise_that_is_drawn_on_the_way_is_the_samples_own(methods: dict[str, Method], name: str) -> None:
    def latents(layouts: list[Layout], keys: list[str]) -> torch.Tensor:
        return methods[name].run(methods[name].bind(layouts, keys)).latents["interactdiffusion"]

    together, alone = latents(LAYOUTS, ["a", "b"]), latents(LAYOUTS[1:], ["b"])
    torch.testing.assert_close(alone, together[1:], atol=1e-3, rtol=0)


def test_a_composition_and_its_window_are_set_by_name() -> None:
    changes = ["aggregation={semantics: alternate, tau: 2, first_step: 1, s: 4}"]
    method = load_profile("mini").method("interactdiffusion+migc@rebuttal", changes)
    assert method.composition.evaluations(2, method.steps) == [18, 2]


def test_boxes_are_drawn_for_the_composition_that_reads_them(
    methods: dict[str, Method], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = methods["interactdiffusion+migc@multidiffusion"].bind(LAYOUTS, ["a", "b"])
    assert all(one.inside is not None and one.inside.any() for one in reading)
    monkeypatch.setattr("amdm.methods.box_mask", None)
    for name in ("interactdiffusion", "switch", "interactdiffusion+migc@lol"):
        assert all(one.inside is None for one in methods[name].bind(LAYOUTS, ["a", "b"]))


def test_box_mask() -> None:
    layout = Layout("", (Instance("a", (0.0, 0.0, 0.5, 0.25)), Instance("b", (0.5, 0.5, 1.0, 1.0))))
    expected = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=torch.float32)
    assert torch.equal(box_mask([layout, Layout("")], (4, 4))[:, 0], torch.stack([expected, torch.zeros(4, 4)]))
    acting = Layout("", interactions=(Interaction(layout.instances[0], "joins", layout.instances[1]),))
    assert torch.equal(box_mask([acting], (4, 4))[0, 0], expected)
    centres = Layout("", (Instance("a", (0.125, 0.375, 0.625, 0.875)),))  # the first are in it, the last are not
    assert box_mask([centres], (4, 4))[0, 0].tolist() == [[0] * 4, [1, 1, 0, 0], [1, 1, 0, 0], [0] * 4]

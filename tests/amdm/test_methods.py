"""The shipped mini models: the same picture whatever the batch, the fewest evaluations, conditions that matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from amdm.errors import InputError
from amdm.layout import Instance, Layout
from amdm.methods import Method, category_only, load_methods
from amdm.mini.models import MiniModels
from amdm.model_set import ModelSet
from amdm.presets.profile import load_profile
from bench.layouts.named import load_layouts
from tests.altered import flip_last_bit
from tests.closeness import PROMISED, assert_same, to_double

ENTRIES = load_layouts("mini-tune").entries[:5]  # one of each level: batches of unlike sizes
LAYOUTS = [entry.layout for entry in ENTRIES]
KEYS = [f"test/{entry.index}" for entry in ENTRIES]
NAMES = ["interactdiffusion", "migc", "interactdiffusion+migc", "stable_diffusion"]


@pytest.fixture(scope="module")
def methods() -> dict[str, Method]:
    """Every method of the profile, at 6 steps: enough for what is tested here."""
    names = tuple(name for name in load_profile("mini").methods if "rebuttal" not in name)  # 8 steps are aggregated
    return load_methods("mini", names, ["settings.all.num_inference_steps=6"])


def final_latents(method: Method, layouts: list[Layout], keys: list[str]) -> torch.Tensor:
    with torch.inference_mode():
        bound = method.bind(layouts, keys)
        for one in bound:
            one.latents = one.latents.to(next(iter(method.models.models.values())).unet.dtype)
        return method.run(bound).latents[bound[0].name]


@pytest.mark.numeric
@pytest.mark.parametrize("name", NAMES)
def test_a_sample_does_not_depend_on_its_batch(methods: dict[str, Method], name: str) -> None:
    exact = Method(name, methods[name].settings, to_double(methods[name].models))
    together = final_latents(exact, LAYOUTS, KEYS)
    alone = final_latents(exact, LAYOUTS[4:], KEYS[4:])
    assert_same(alone, together[4:])
    turned = final_latents(exact, LAYOUTS[1::-1], KEYS[1::-1])
    assert_same(turned.flip(0), together[:2])


@pytest.mark.numeric
@pytest.mark.parametrize("name", ["interactdiffusion", "interactdiffusion+migc"])
def test_in_float32_batches_agree_as_promised(methods: dict[str, Method], name: str) -> None:
    together = final_latents(methods[name], LAYOUTS, KEYS)
    for k in (0, 4):
        alone = final_latents(methods[name], LAYOUTS[k : k + 1], KEYS[k : k + 1])
        torch.testing.assert_close(alone, together[k : k + 1], atol=PROMISED, rtol=0)


@pytest.mark.numeric
def test_the_same_batch_gives_the_same_bytes(methods: dict[str, Method]) -> None:
    first, again = (methods["interactdiffusion+migc"].generate(LAYOUTS, KEYS).images for _ in range(2))
    assert np.array_equal(first, again)


def test_evaluations(methods: dict[str, Method]) -> None:
    def counted(name: str) -> dict[str, int]:
        return methods[name].generate(LAYOUTS[:1], KEYS[:1]).evaluations

    assert counted("interactdiffusion+migc") == {"interactdiffusion": 6, "migc": 4}
    assert counted("interactdiffusion+migc@paper") == {"interactdiffusion": 6, "migc": 3}
    assert counted("switch") == {"interactdiffusion": 3, "migc": 3}
    assert counted("interactdiffusion+itself") == {"interactdiffusion": 6, "interactdiffusion#2": 4}


@pytest.mark.parametrize("name", ["interactdiffusion", "migc"])
def test_boxes_and_phrases_matter(methods: dict[str, Method], name: str) -> None:
    ours = final_latents(methods[name], LAYOUTS, KEYS)
    moved = [Layout(one.caption, tuple(mirrored(one))) for one in LAYOUTS]
    assert (final_latents(methods[name], moved, KEYS) - ours).abs().amax((1, 2, 3)).min() > 0.1
    plain = [category_only(one) for one in LAYOUTS]
    assert (final_latents(methods[name], plain, KEYS) - ours).abs().amax((1, 2, 3)).min() > 1e-3


def mirrored(layout: Layout) -> list[Instance]:
    """Left and right exchanged: a model that reads boxes must answer, whatever it makes of the phrases."""
    return [Instance(one.phrase, (1 - one.box[2], one.box[1], 1 - one.box[0], one.box[3])) for one in layout.instances]


@pytest.mark.parametrize("phrase", ["circle", "a circle", "a red", "a red ", "the big red circle", "a\tred circle"])
def test_a_phrase_without_a_colour_in_its_place_has_no_category_only_form(phrase: str) -> None:
    with pytest.raises(InputError, match=r"phrase: .* is not 'a <red"):
        category_only(Layout("", (Instance(phrase, (0.1, 0.1, 0.5, 0.5)),)))


def test_the_target_alone_and_aggregated_start_from_the_same_noise(methods: dict[str, Method]) -> None:
    starts = []
    for name in ("interactdiffusion", "interactdiffusion+migc"):
        methods[name].generate(
            LAYOUTS[:1],
            KEYS[:1],
            lambda step: starts.append(step.entering["interactdiffusion"]) if step.index == 0 else None,
        )
    assert torch.equal(*starts)


def test_a_layout_without_instances_is_refused(methods: dict[str, Method]) -> None:
    for name in ("interactdiffusion", "migc"):
        with pytest.raises(InputError, match=r"layouts\[0\]"):
            methods[name].generate([Layout("a photo of nothing")], ["k"])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="unknown method 'nope'"):
        load_methods("mini", ["nope"])
    with pytest.raises(InputError, match="unknown profile"):
        load_profile("nope")


def test_the_base_is_held_once() -> None:
    models = MiniModels.load()
    base = dict(models.base.unet.named_parameters())
    for unet in (models.interactdiffusion.unet, models.migc.unet):
        own = dict(unet.named_parameters())
        assert all(own[name] is parameter for name, parameter in base.items())


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    MiniModels().save(tmp_path)
    path = tmp_path / "migc.safetensors"
    flip_last_bit(path)
    with pytest.raises(InputError, match="migc"):
        MiniModels.load(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="absent"):
        MiniModels.load(tmp_path)


def test_a_picture_with_nan_is_not_finite(methods: dict[str, Method], monkeypatch: pytest.MonkeyPatch) -> None:
    decode = type(methods["migc"].models).decode

    def broken(self: ModelSet, latents: torch.Tensor, model: str) -> torch.Tensor:
        pictures = decode(self, latents, model)
        pictures[1, 0, 3, 3] = float("nan")
        return pictures

    monkeypatch.setattr(ModelSet, "decode", broken)
    assert methods["migc"].generate(LAYOUTS[:3], KEYS[:3]).finite == [True, False, True]

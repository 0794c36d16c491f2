"""MIGC at the mini size: batches, steps, permutations, gradients, masks, its own weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from amdm.errors import InputError, InputWarning
from amdm.layout import Instance, Layout
from amdm.mini.sizes import MIGC_HEADS, MIGC_LAYERS, UNET, build_scheduler, build_text_encoder, build_tokenizer
from amdm.models.control import SampleRequest
from amdm.models.migc import MIGC, instance_masks
from amdm.models.migc_processor import AttentionMode
from amdm.models.text import PhraseEncoder
from tests.closeness import assert_same, to_double
from tests.recipe import recipe_tensor

pytestmark = pytest.mark.numeric

LEFT = Instance("a red circle", (0.0, 0.25, 0.5, 0.75))
RIGHT = Instance("a blue square", (0.5, 0.5, 1.0, 1.0))
TOP = Instance("a green star", (0.25, 0.0, 0.9, 0.4))
ONE, TWO, THREE = Layout("one", (RIGHT,)), Layout("two", (LEFT, RIGHT)), Layout("three", (TOP, LEFT, RIGHT))
Make = Callable[..., MIGC]


@pytest.fixture(scope="module")
def make() -> Make:
    """Models in float64 that differ only in their options: same random weights, a controller sharp enough to see it."""
    torch.manual_seed(0)
    text = PhraseEncoder(build_text_encoder().eval(), build_tokenizer())
    weights = UNet2DConditionModel(**UNET).state_dict()

    def build(**options: Any) -> MIGC:
        unet = UNet2DConditionModel(**UNET)
        unet.load_state_dict(weights)
        model = MIGC(unet.eval(), text, build_scheduler(), layers=MIGC_LAYERS, heads=MIGC_HEADS, **options)
        state = {name: recipe_tensor("mini", name, value.shape) for name, value in model.control_state_dict().items()}
        state = {name: value * (10 if "sac.conv2" in name else 1) for name, value in state.items()}
        model.load_control_state_dict(state)
        return to_double(model)

    return build


def request(*layouts: Layout, keys: str = "abc") -> SampleRequest:
    return SampleRequest(layouts, tuple(keys[: len(layouts)]), 10, 3.0, "bad", 64, 64)


def latents(rows: int, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.randn(rows, 8, height, width, generator=torch.Generator().manual_seed(1))


def permutations(model: MIGC, *rows: Sequence[int]) -> dict[str, torch.Tensor]:
    return {layer: torch.tensor([list(row) for row in rows]) for layer in model.layers}


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"migc_steps": -1, "naive_fuser_steps": 9}, {"migc_steps": -1}])
def test_a_sample_does_not_depend_on_its_batch(make: Make, options: dict[str, int]) -> None:
    model, x = make(**options), latents(3)
    together = model.bind(request(ONE, THREE, TWO))(x, 500, 0)
    assert together.dtype == torch.float32
    for k, layout in enumerate((ONE, THREE, TWO)):
        alone = model.bind(request(layout, keys="abc"[k]))(x[k : k + 1], 500, 0)
        assert_same(together[k : k + 1], alone)


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 24), (10, 12), (9, 14)])
def test_any_latent_size(make: Make, size: tuple[int, int]) -> None:
    x = latents(1, *size)
    wide = replace(request(TWO), height=4 * size[0], width=4 * size[1])
    assert make().bind(wide)(x, 500, 0).shape == x.shape


@torch.no_grad()
def test_the_conditional_half_is_what_training_sees(make: Make) -> None:
    model, x = make(), latents(2)
    pair = replace(request(ONE, TWO), guidance_scale=1.0)
    order = {layer: torch.stack([model.permutation(key, 3, layer) for key in pair.keys]) for layer in model.layers}
    predicted = model.predict(x, torch.tensor(500), model.conditions([ONE, TWO], (64, 64), (16, 16)), order)
    assert_same(model.bind(pair)(x, 500, 3), predicted)


@torch.no_grad()
def test_boxes_and_phrases_reach_the_prediction(make: Make) -> None:
    model, x = make(), latents(1)
    moved, renamed = Layout("one", (replace(RIGHT, box=LEFT.box),)), Layout("one", (replace(RIGHT, phrase="a star"),))
    plain, *others = (model.bind(request(layout))(x, 500, 0) for layout in (ONE, moved, renamed))
    assert all((plain - other).abs().max() > 1e-3 for other in others)


@torch.no_grad()
def test_vanilla_steps_are_the_base_model(make: Make) -> None:
    model, x = make(migc_steps=0), latents(2)
    base = UNet2DConditionModel(**UNET).eval().double()
    base.load_state_dict({k: v for k, v in model.unet.state_dict().items() if ".migc." not in k})
    context = model.text.encode(["bad", "bad", "two", "one"])[0]
    pair = torch.cat([x, x]).double()
    uncond, cond = base(pair, 500, context).sample.chunk(2)
    denoise = model.bind(request(TWO, ONE))
    assert_same(denoise(x, 500, 1).double(), uncond + 3.0 * (cond - uncond))
    assert (denoise(x, 500, 0) - denoise(x, 500, 1)).abs().max() > 1e-3
    plain = model.unet(pair, 500, context).sample  # nothing of a request stays behind
    assert_same(plain, torch.cat([uncond, cond]))


def test_the_order_of_branches(make: Make) -> None:
    def branches(**options: int) -> list[AttentionMode]:
        model = make(**options)
        return [model.branch(i) for i in range(4)]

    both, migc, naive, vanilla = (
        AttentionMode.MIGC_AND_NAIVE,
        AttentionMode.MIGC,
        AttentionMode.NAIVE,
        AttentionMode.VANILLA,
    )
    assert branches(migc_steps=1) == [migc, migc, vanilla, vanilla]
    assert branches(migc_steps=0, naive_fuser_steps=2) == [both, naive, naive, vanilla]
    assert branches(migc_steps=1, naive_fuser_steps=0) == [both, migc, vanilla, vanilla]
    assert branches(migc_steps=-1, naive_fuser_steps=-1) == [vanilla] * 4


@torch.no_grad()
def test_permutations_move_what_sits_in_an_occupied_slot(make: Make) -> None:
    model, x = make(), latents(1)
    conditions = model.conditions([TWO], (64, 64), (16, 16))

    def predict(row: Sequence[int]) -> torch.Tensor:
        return model.predict(x, torch.tensor(500), conditions, permutations(model, row))

    identity = list(range(model.slots))
    nulls_only = [*identity[:2], *reversed(identity[2:])]
    assert_same(predict(identity), predict(nulls_only))
    assert (predict(identity) - predict(identity[::-1])).abs().max() > 1e-5


def test_permutations_are_keyed_by_sample_step_and_layer(make: Make) -> None:
    model = make()
    first = model.permutation("a", 0, MIGC_LAYERS[0])
    assert sorted(first.tolist()) == list(range(model.slots))
    assert torch.equal(first, model.permutation("a", 0, MIGC_LAYERS[0]))
    for other in (("b", 0, MIGC_LAYERS[0]), ("a", 1, MIGC_LAYERS[0]), ("a", 0, MIGC_LAYERS[1])):
        assert not torch.equal(first, model.permutation(*other))


@torch.no_grad()
def test_the_key_and_nothing_else_decides(make: Make) -> None:
    model, x = make(), latents(1)
    first = model.bind(request(TWO, keys="a"))(x, 500, 0)
    torch.manual_seed(7)
    torch.rand(3)
    assert torch.equal(first, model.bind(request(TWO, keys="a"))(x, 500, 0))
    assert not torch.equal(first, model.bind(request(TWO, keys="b"))(x, 500, 0))


def test_gradients_reach_every_weight_of_migc_and_the_text_tower(make: Make) -> None:
    model = make()
    tower = model.text.text_encoder
    conditions = model.conditions([TWO, THREE], (64, 64), (16, 16), encode=model.text.encode_fresh)
    order = permutations(model, torch.randperm(28).tolist(), torch.randperm(28).tolist())
    model.predict(latents(2), torch.tensor([100, 900]), conditions, order).square().mean().backward()
    parameters = {name: p for name, p in model.unet.named_parameters() if ".migc." in name}
    assert set(parameters) == set(model.control_state_dict())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters.values())
    # A logit's bias and a gate whose ReLU is shut may have no gradient; whatever carries text, box or mask must.
    carriers = ("ea.to_v", "la.to_v", "pos_net.linears_position.0.weight", "sac.conv1.weight", "sac.conv2.weight")
    assert all(p.grad.abs().sum() > 0 for name, p in parameters.items() if any(part in name for part in carriers))
    assert tower.get_input_embeddings().weight.grad.abs().sum() > 0
    tower.zero_grad()


@torch.no_grad()
def test_half_precision_answers_in_float32(make: Make) -> None:
    model, half, x = make(naive_fuser_steps=9), make(naive_fuser_steps=9), latents(2)
    half.unet.to(torch.bfloat16)
    for model_steps in (20, -1):
        model.migc_steps = half.migc_steps = model_steps
        exact, rough = (one.bind(request(ONE, THREE))(x, 500, 0) for one in (model, half))
        assert rough.dtype == torch.float32
        assert (exact - rough).norm() < 0.1 * exact.norm()


def test_masks_are_drawn_with_whole_pixels_and_made_once_a_grid(make: Make) -> None:
    masks = instance_masks([[(0.13, 0.0, 0.5, 0.26), (0.0, 0.0, 0.0, 0.0)]], (8, 16), (8, 16))
    expected = torch.zeros(8, 16)
    expected[0:2, 2:8] = 1  # int(8 · 0.26) = 2 rows, columns from int(16 · 0.13) = 2
    assert torch.equal(masks[0], torch.stack([1 - expected, expected, torch.zeros(8, 16)]))
    conditions = make().conditions([TWO, ONE], (64, 64), (16, 16))
    assert conditions.layer_masks((4, 4)) is conditions.layer_masks((4, 4))
    assert conditions.valid.tolist() == [[True, True], [True, False]]
    together = conditions.layer_masks((16, 16)).together[0, 0]
    inside_left, inside_right, outside = 6 * 16 + 2, 14 * 16 + 14, 0  # row · 16 + column
    assert together.diagonal().all() and together[inside_left, 5 * 16 + 3]
    assert not together[inside_left, inside_right] and not together[inside_left, outside]


@torch.no_grad()
@pytest.mark.parametrize("box", [(0.5, 0.1, 0.51, 0.9), (0.05, 0.05, 0.08, 0.9)])
def test_a_box_between_the_cells_is_told_of(make: Make, box: Any) -> None:
    model, lost = make(), replace(TWO, instances=(LEFT, Instance("a green star", box)))
    elsewhere = replace(TWO, instances=(LEFT, Instance("a blue square", box)))
    found = []
    for layout in (lost, elsewhere):
        with pytest.warns(InputWarning, match=r"layouts\[1\]: the box of 'a .*' covers no cell of the latents, 16×16"):
            found.append(model.bind(request(ONE, layout))(latents(2), 500, 0))
    assert_same(*found)  # as the warning says


def test_each_text_is_encoded_once(make: Make) -> None:
    model, seen = make(), []

    def encode(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        seen.extend(texts)
        return model.text.encode_fresh(texts)

    model.conditions([THREE, TWO, TWO], (64, 64), (16, 16), encode)
    assert sorted(seen) == sorted({"two", "three", LEFT.phrase, RIGHT.phrase, TOP.phrase})


@pytest.mark.parametrize(("count", "repeats"), [(1, 1), (3, 3), (9, 7)])
def test_and_augmentation_repeats_phrases(make: Make, count: int, repeats: int) -> None:
    seen: list[str] = []
    model = make(and_augmentation=True)

    def encode(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        seen.extend(texts)
        return model.text.encode(["x"] * len(texts))

    model.conditions([Layout("all", (LEFT,) * count)], (64, 64), (16, 16), encode)
    assert seen == ["all", ", and ".join([LEFT.phrase] * repeats)]


def test_migc_weights_stand_apart_from_the_base(make: Make) -> None:
    model = make()
    state = {name: value.clone() for name, value in model.control_state_dict().items()}
    base = UNet2DConditionModel(**UNET).state_dict()
    assert set(state) | set(base) == set(model.unet.state_dict()) and not set(state) & set(base)
    assert {name.split(".attn2.")[0] for name in state} == set(MIGC_LAYERS)
    model.load_control_state_dict({name: value + 1 for name, value in state.items()})
    name = next(iter(state))
    assert torch.equal(model.control_state_dict()[name], state[name] + 1)
    state.pop(name)
    with pytest.raises(KeyError, match=name):
        model.load_control_state_dict(state)


@pytest.mark.parametrize("count", [0, 29])
def test_layouts_that_do_not_fit_are_refused_before_the_model_runs(make: Make, count: int) -> None:
    with pytest.raises(InputError, match=r"layouts\[1\]"):
        make().bind(request(TWO, Layout("", (LEFT,) * count)))


def test_a_layer_that_the_unet_lacks_is_refused() -> None:
    unet = UNet2DConditionModel(**UNET)
    text = PhraseEncoder(build_text_encoder(), build_tokenizer())
    with pytest.raises(InputError, match=r"up_blocks\.7"):
        MIGC(unet, text, build_scheduler(), layers=("up_blocks.7.attentions.0.transformer_blocks.0",))

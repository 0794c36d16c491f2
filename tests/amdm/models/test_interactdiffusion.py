"""InteractDiffusion at the mini size: batches, grounding, box bias, scheduled sampling, gradients, control weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from amdm.mini.sizes import SLOTS, UNET, build_scheduler, build_text_encoder, build_tokenizer
from amdm.models import interactdiffusion_net
from amdm.models.control import SampleRequest
from amdm.models.interactdiffusion import InteractDiffusion
from amdm.models.interactdiffusion_net import GatedGroundingAttention, GroundingTokens, cell_coverage
from amdm.models.text import PhraseEncoder
from tests.closeness import assert_same, to_double

pytestmark = pytest.mark.numeric

LEFT = Instance("a circle", (0.0, 0.25, 0.5, 0.75))
RIGHT = Instance("a square", (0.5, 0.5, 1.0, 1.0))
PAIR, SINGLE = Layout("two things", (LEFT, RIGHT)), Layout("one thing", (RIGHT,))


@pytest.fixture(scope="module")
def make() -> Callable[..., InteractDiffusion]:
    """Models in float64 that differ only in their options: same random weights, gates open."""
    torch.manual_seed(0)
    text = PhraseEncoder(build_text_encoder().eval(), build_tokenizer())
    weights: dict[str, torch.Tensor] = {}

    def build(**options: float) -> InteractDiffusion:
        unet = UNet2DConditionModel(**UNET, attention_type="gated")
        model = InteractDiffusion(unet, text, build_scheduler(), slots=SLOTS, **options)  # type: ignore[arg-type]
        weights.update(weights or model.unet.state_dict())
        model.unet.load_state_dict(weights)
        for name, parameter in model.unet.named_parameters():
            if name.endswith(("alpha_attn", "alpha_dense")):
                torch.nn.init.constant_(parameter, 1.0)
        model.unet.eval()
        return to_double(model)

    return build


def _request(*layouts: Layout) -> SampleRequest:
    return SampleRequest(layouts, tuple("ab"[: len(layouts)]), 10, 3.0, "", 64, 64)


def _latents(rows: int) -> torch.Tensor:
    return torch.randn(rows, 8, 16, 16, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("box_bias", [0.0, 4.0])
def test_a_sample_does_not_depend_on_its_batch(make: Callable[..., InteractDiffusion], box_bias: float) -> None:
    model, x = make(box_bias=box_bias), _latents(2)
    together = model.bind(_request(PAIR, SINGLE))(x, 500, 0)
    for k, layout in enumerate((PAIR, SINGLE)):
        alone = model.bind(_request(layout))(x[k : k + 1], 500, 0)
        assert_same(together[k : k + 1], alone)


@torch.no_grad()
def test_each_role_has_its_own_box_and_phrase(make: Callable[..., InteractDiffusion]) -> None:
    model = make()
    found = model.conditions([Layout("", interactions=(Interaction(LEFT, "joins", RIGHT),)), Layout("", (RIGHT,))])
    ends = {"subject": (LEFT, RIGHT), "object": (RIGHT, RIGHT)}
    for role, both in ends.items():
        for k, one in enumerate(both):
            boxes, embeddings = getattr(found, f"{role}_boxes")[k], getattr(found, f"{role}_embeddings")[k]
            assert boxes[0].tolist() == list(one.box) and not boxes[1:].any()
            assert torch.equal(embeddings[0], model.text.encode([one.phrase])[1][0]) and not embeddings[1:].any()
    actions = model.text.encode(["joins", "and"])[1]
    assert torch.equal(found.action_embeddings[:, 0], actions) and found.masks.sum(1).tolist() == [1, 1]


@torch.no_grad()
def test_boxes_and_phrases_reach_the_prediction(make: Callable[..., InteractDiffusion]) -> None:
    model, x = make(), _latents(1)
    moved = Layout(SINGLE.caption, (Instance(RIGHT.phrase, LEFT.box),))
    renamed = Layout(SINGLE.caption, (Instance(LEFT.phrase, RIGHT.box),))
    plain, *others = (model.bind(_request(layout))(x, 500, 0) for layout in (SINGLE, moved, renamed))
    assert all((plain - other).abs().max() > 1e-4 for other in others)


@torch.no_grad()
def test_without_grounding_boxes_and_phrases_are_nothing(make: Callable[..., InteractDiffusion]) -> None:
    model, x = make(box_bias=4.0), _latents(2)
    context, t = torch.zeros(2, 32, model.text.dim), torch.tensor(500)
    dropped = model.conditions([PAIR, SINGLE]).without(torch.tensor([True, False]))
    other = model.conditions([SINGLE, SINGLE]).without(torch.tensor([True, False]))
    first, second = (model.predict(x, t, context, one) for one in (dropped, other))
    assert_same(first, second)


@torch.no_grad()
def test_scheduled_sampling_switches_the_fusers_off(make: Callable[..., InteractDiffusion]) -> None:
    x = _latents(1)
    model = make(fuser_beta=0.3)
    denoise, off, on = model.bind(_request(PAIR)), make(fuser_scale=0.0), make()
    bare, full = off.bind(_request(PAIR))(x, 500, 0), on.bind(_request(PAIR))(x, 500, 0)
    for step in (0, 2, 3, 9, 0):  # the last one: a denoiser can start again
        assert_same(denoise(x, 500, step), full if step < 3 else bare)


@torch.no_grad()
def test_fusers_follow_the_recorded_schedules(make: Callable[..., InteractDiffusion], reference_dir: Path) -> None:
    facts = json.loads((reference_dir / "interact_conditioning.json").read_text(encoding="utf-8"))
    x = _latents(1)
    bare = make(fuser_scale=0.0).bind(_request(PAIR))(x, 500, 0)
    for beta, recorded in facts["scheduled_sampling"].items():
        request = replace(_request(PAIR), num_inference_steps=recorded["steps"])
        denoise = make(fuser_beta=float(beta)).bind(request)
        enabled = [bool((denoise(x, 500, i) - bare).abs().max() > 1e-4) for i in range(recorded["steps"])]
        assert enabled == recorded["fuser_enabled_per_step"], beta


@torch.no_grad()
def test_sampling_leaves_the_model_as_it_was(make: Callable[..., InteractDiffusion]) -> None:
    model, x = make(fuser_beta=0.3), _latents(1)
    context, conditions = torch.zeros(1, 32, model.text.dim), model.conditions([PAIR])
    before = model.predict(x, torch.tensor(500), context, conditions)
    model.bind(_request(PAIR))(x, 500, 9)
    assert_same(model.predict(x, torch.tensor(500), context, conditions), before)


def test_box_bias_pulls_covered_positions_and_is_off_by_default(make: Callable[..., InteractDiffusion]) -> None:
    plain, biased, x = make(), make(box_bias=4.0), _latents(1)
    assert all(type(one) is AttnProcessor2_0 for one in plain.unet.attn_processors.values())
    with torch.no_grad():
        difference = plain.bind(_request(SINGLE))(x, 500, 0) - biased.bind(_request(SINGLE))(x, 500, 0)
    assert difference.abs().max() > 1e-4


def test_the_pull_is_one_inside_a_used_box_and_minus_one_outside() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 0.75, 1.0], [0.0, 0.0, 1.0, 1.0]]])
    tokens = GroundingTokens(torch.zeros(1, 2, 4), boxes, torch.tensor([[1.0, 0.0]]), latent=(1, 2))
    assert tokens.pull(2).tolist() == [[[1.0, -1.0], [0.0, -1.0]]]  # whole, half; the second slot is not in use


@torch.no_grad()
def test_a_strong_bias_lets_positions_see_the_tokens_of_their_boxes_alone() -> None:
    torch.manual_seed(0)
    fuser = GatedGroundingAttention(32, 16, 2, 16).double()
    for gate in (fuser.alpha_attn, fuser.alpha_dense):
        torch.nn.init.constant_(gate, 1.0)
    boxes, used = torch.tensor([[[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]]), torch.ones(1, 2)
    x, tokens = torch.randn(1, 16, 32, dtype=torch.float64), torch.randn(1, 2, 16, dtype=torch.float64)

    def out(tokens: torch.Tensor) -> torch.Tensor:
        return fuser(x, GroundingTokens(tokens, boxes, used, latent=(4, 4), box_bias=50.0))[0].unflatten(0, (4, 4))

    changed = tokens.clone()
    changed[:, 0] += torch.randn(16, dtype=torch.float64)
    moved = (out(changed) - out(tokens)).abs().amax(2)
    assert (moved[:, :2] > 1e-3).all() and (moved[:, 2:] < 1e-9).all()


def test_coverage_is_the_share_of_the_cell() -> None:
    boxes = torch.tensor([[[0.0, 0.25, 0.5, 0.75], [0.125, 0.0, 0.25, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    covered = cell_coverage(boxes, (4, 8)).unflatten(1, (4, 8))[0]
    expected = torch.zeros(4, 8, 3)
    expected[1:3, 0:4, 0] = 1.0
    expected[:, 1, 1] = 1.0
    torch.testing.assert_close(covered, expected)
    halves = cell_coverage(boxes, (4, 4)).unflatten(1, (4, 4))[0]
    torch.testing.assert_close(halves[:, :, 1], torch.tensor([0.5, 0.0, 0.0, 0.0]).expand(4, 4))


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 24), (8, 32), (10, 14)])  # 8·32 positions would also fill a square
def test_box_bias_on_pictures_that_are_not_square(
    make: Callable[..., InteractDiffusion], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    grids: list[tuple[int, int]] = []
    monkeypatch.setattr(
        interactdiffusion_net, "cell_coverage", lambda boxes, grid: grids.append(grid) or cell_coverage(boxes, grid)
    )
    model = make(box_bias=4.0)
    request = replace(_request(PAIR), height=4 * size[0], width=4 * size[1])
    assert model.bind(request)(torch.randn(1, 8, *size), 500, 0).isfinite().all()
    halved = tuple((side + 1) // 2 for side in size)
    quartered = tuple((side + 1) // 2 for side in halved)
    assert sorted(grids, reverse=True) == [size, halved, quartered]  # once each, however many layers a level has


def test_gradients_reach_every_control_weight_and_the_text_tower(make: Callable[..., InteractDiffusion]) -> None:
    model = make(box_bias=4.0)
    tower = model.text.text_encoder
    conditions = model.conditions([PAIR, SINGLE], encode=model.text.encode_fresh)
    context = torch.zeros(2, 32, model.text.dim)
    model.predict(_latents(2), torch.tensor([100, 900]), context, conditions).square().mean().backward()
    dead = [n for n, p in model.unet.named_parameters() if ".fuser." in n or "position_net" in n if p.grad is None]
    assert not dead
    assert tower.get_input_embeddings().weight.grad.abs().sum() > 0
    tower.zero_grad()


def test_control_weights_stand_apart_from_the_base(make: Callable[..., InteractDiffusion]) -> None:
    model = make()
    state = {name: value.clone() for name, value in model.control_state_dict().items()}
    base = UNet2DConditionModel(**UNET).state_dict()
    assert set(state) | set(base) == set(model.unet.state_dict()) and not set(state) & set(base)
    model.load_control_state_dict({name: value + 1 for name, value in state.items()})
    name = "position_net.linears.0.weight"
    torch.testing.assert_close(model.control_state_dict()[name], state[name] + 1)
    state.pop(name)
    with pytest.raises(KeyError, match=name):
        model.load_control_state_dict(state)


@pytest.mark.parametrize("count", [0, SLOTS + 1])
def test_layouts_that_do_not_fit_are_refused(make: Callable[..., InteractDiffusion], count: int) -> None:
    with pytest.raises(InputError, match=r"layouts\[1\]"):
        make().bind(_request(PAIR, Layout("", (LEFT,) * count)))

"""MIGC's checkpoint loads strictly: every key that does not fit is named."""

from __future__ import annotations

import pytest
import torch

from amdm.checkpoints.keys.migc import convert_migc
from amdm.errors import InputError
from amdm.models.migc_attention import MIGCAttention

MIDDLE = "mid_block.attentions.0.transformer_blocks.0.attn2.processor.migc"
KEY = "model.diffusion_model.middle_block.1.migc"


@pytest.fixture
def expected() -> dict[str, torch.Tensor]:
    return {f"{MIDDLE}.{name}": value for name, value in MIGCAttention(16, 8).state_dict().items()}


@pytest.fixture
def state(expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace(MIDDLE, KEY): value for name, value in expected.items()}


def test_values_arrive_under_our_names(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    converted = convert_migc(state, expected)
    assert set(converted) == set(expected)
    assert all(converted[name] is value for name, value in expected.items())


def test_what_does_not_fit_is_named(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    state[f"{KEY}.stranger"] = state.pop(f"{KEY}.norm.weight")
    state[f"{KEY}.norm.bias"] = torch.zeros(3)
    with pytest.raises(InputError) as error:
        convert_migc(state, expected, file="some.ckpt")
    message = str(error.value)
    assert message.startswith("some.ckpt: ")
    reshaped = f"of another shape: {KEY}.norm.bias (3,)"
    for part in (f"missing: {MIDDLE}.norm.weight", f"left over: {KEY}.stranger", reshaped):
        assert part in message


def test_a_layer_that_the_model_lacks_is_left_over(
    state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]
) -> None:
    other = "model.diffusion_model.output_blocks.3.migc.norm.bias"
    with pytest.raises(InputError, match=r"left over: model\.diffusion_model\.output_blocks"):
        convert_migc({**state, other: torch.zeros(16)}, expected)


def test_two_keys_for_one_parameter(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    twin = "other.diffusion_model.middle_block.1.migc.norm.bias"
    with pytest.raises(InputError, match=f"{twin}: two keys"):
        convert_migc({**state, twin: torch.zeros(16)}, expected)

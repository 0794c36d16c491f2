"""Recorded cases of the official MIGC: module, naive fuser, processor in all branches, UNet, checkpoint names.

Ours is computed in float64, so that what differs is the rounding of the recorded float32 run alone; bounds are ten
times what that was measured to be where it was recorded (its README, "Measured differences").
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch.nn.functional import interpolate

from amdm.checkpoints.keys.migc import convert_migc, migc_layer
from amdm.errors import InputError
from amdm.models.migc import MIGC, instance_masks
from amdm.models.migc_attention import InstanceScales, LayerMasks, MIGCAttention, naive_fusion
from amdm.models.migc_processor import AttentionMode, MIGCConditions, MIGCProcessor, MIGCState
from tests.conftest import recorded_folder
from tests.recipe import recipe_tensor

pytestmark = pytest.mark.numeric

FOLDER = recorded_folder("AMDM_REFERENCE_DIR", "reference")


def tags(kind: str) -> list[str]:
    found = sorted(FOLDER.glob(f"migc_{kind}_*.npz")) if FOLDER.is_dir() else []
    return [path.stem.removeprefix(f"migc_{kind}_") for path in found]


def load(kind: str, tag: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    meta = json.loads((FOLDER / "migc.json").read_text())
    arrays = {k: torch.from_numpy(v) for k, v in np.load(FOLDER / f"migc_{kind}_{tag}.npz").items()}
    return meta, {k: v.double() if v.is_floating_point() else v for k, v in arrays.items()}


def weights(salt: str, parameters: list[Any]) -> dict[str, torch.Tensor]:
    return {name: recipe_tensor(salt, name, shape) for name, shape in parameters}


def layer_masks(arrays: dict[str, torch.Tensor]) -> LayerMasks:
    grid = tuple(int(side) for side in arrays["grid"])
    instances, background = (
        interpolate(arrays[k], grid, mode="bilinear") for k in ("guidance_mask", "supplement_mask")
    )
    return LayerMasks(instances, background, torch.ones(1, instances.shape[1], dtype=torch.bool))


def attention_map(ea: Any, query: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """How the enhancement attention divides itself between text and box, mean of heads: (B, n, HW, 2)."""
    q, k = (part.unflatten(-1, (ea.heads, -1)).transpose(-2, -3) for part in (ea.to_q(query), ea.to_k(tokens)))
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).mean(2)


@pytest.mark.usefixtures("reference_dir")
@pytest.mark.parametrize("tag", tags("module"))
@torch.no_grad()
def test_module(tag: str) -> None:
    meta, arrays = load("module", tag)
    case = meta["module"][tag]
    module = MIGCAttention(case["C"], 768).double()
    module.load_state_dict(weights(case["weights_salt"], meta["module_parameters"][str(case["C"])]))
    masks, pooled, token = layer_masks(arrays), arrays["context_pooler"][None, 1:, 0], arrays["image_token"][:, 0]
    scales = None
    if case["scales"]:
        scales = InstanceScales(*(torch.tensor([case["scales"][f"{k}_scale"]]) for k in ("ca", "ea", "sac")))
    parts = (arrays["ca_x"], token, pooled, arrays["boxes_xyxy"][None], masks)
    inner: dict[str, torch.Tensor] = {}
    hooks = [
        module.sac.register_forward_hook(lambda _, __, weights: inner.update(sac_scale=weights)),
        module.ea.register_forward_hook(lambda ea, given, _: inner.update(ea_attn=attention_map(ea, *given))),
    ]
    out = module(*parts, arrays["permutation"][None], scales)
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(out, arrays["out"][:, 0], atol=5e-6, rtol=0)
    torch.testing.assert_close(inner["sac_scale"].double(), arrays["sac_scale"], atol=5e-6, rtol=0)
    shares = inner["ea_attn"].unflatten(2, masks.instances.shape[2:])
    torch.testing.assert_close(shares, arrays["ea_attn"], atol=5e-6, rtol=0)
    if "out_identity_permutation" in arrays:
        out = module(*parts, torch.arange(28)[None], scales)
        torch.testing.assert_close(out, arrays["out_identity_permutation"][:, 0], atol=5e-6, rtol=0)
    height, width = (int(side) for side in arrays["height_width"])
    boxes = [arrays["boxes_xyxy"].tolist()]
    drawn = instance_masks(boxes, (height, width), tuple(arrays["guidance_mask"].shape[-2:]))
    assert torch.equal(drawn[:, 1:], arrays["guidance_mask"].float())  # ones, zeros, and means of four of them
    assert torch.equal(drawn[:, :1], arrays["supplement_mask"].float())


@pytest.mark.usefixtures("reference_dir")
@pytest.mark.parametrize("tag", tags("naivefuser"))
def test_naive_fuser(tag: str) -> None:
    _, recorded = load("naivefuser", tag)
    _, arrays = load("module", tag)
    torch.testing.assert_close(naive_fusion(arrays["ca_x"], layer_masks(arrays)), recorded["out"], atol=5e-6, rtol=0)


def state_for(arrays: dict[str, torch.Tensor], size: tuple[int, int]) -> MIGCState:
    """The recorded conditions: [uncond, global, instances] contexts of one picture."""
    contexts, boxes = arrays["encoder_hidden_states"], arrays["boxes_xyxy"]
    latent = (size[0] // 8, size[1] // 8)
    conditions = MIGCConditions(
        contexts=contexts[None, 1:],
        pooled=arrays["embeds_pooler"][None, 1:, 0],
        boxes=boxes[None],
        valid=torch.ones(1, len(boxes), dtype=torch.bool),
        masks=instance_masks([boxes.tolist()], size, latent),
    )
    return MIGCState(conditions, unconditional=contexts[:1])


def branch_of(model_options: dict[str, Any], ith: int) -> AttentionMode:
    fake = SimpleNamespace(migc_steps=model_options["MIGCsteps"], naive_fuser_steps=model_options["NaiveFuserSteps"])
    return MIGC.branch(fake, ith)  # type: ignore[arg-type]


@pytest.mark.usefixtures("reference_dir")
@pytest.mark.parametrize("tag", tags("processor"))
@torch.no_grad()
def test_processor(tag: str) -> None:
    meta, arrays = load("processor", tag)
    case = meta["processor"][tag]
    attention = Attention(query_dim=case["C"], cross_attention_dim=768, heads=8, dim_head=case["C"] // 8, bias=False)
    attention.double()
    attention.load_state_dict(weights(case["attn_salt"], case["attn_parameters"]))
    size = tuple(int(side) for side in arrays["height_width"])
    state = state_for(arrays, size)
    state.permutations = {"layer": arrays["permutation"][None]}
    module = MIGCAttention(case["C"], 768).double()
    parameters = weights(case["migc_salt"], case["processor_parameters"])
    module.load_state_dict({name.removeprefix("migc."): value for name, value in parameters.items()})
    checked = 0
    for name, branch in case["branches"].items():
        if name == "self_attention":
            continue  # self attention keeps diffusers' own processor
        attention.set_processor(MIGCProcessor(state, "layer", module if branch["has_migc"] else None))
        state.branch = branch_of(branch, branch["ith"])
        out = attention(arrays["hidden_states"], encoder_hidden_states=arrays["encoder_hidden_states"][:2])
        expected = arrays[branch.get("identical_to", f"out_{name}")]
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)
        checked += 1
    assert checked == len(case["branches"]) - 1
    own = Attention(query_dim=case["C"], heads=8, dim_head=case["C"] // 8, bias=False).double()
    own.load_state_dict(weights(case["self_attn_salt"], case["self_attn_parameters"]))
    torch.testing.assert_close(own(arrays["hidden_states"]), arrays["out_self_attention"], atol=1e-5, rtol=0)


@pytest.mark.usefixtures("reference_dir")
@pytest.mark.parametrize("tag", tags("unet"))
@torch.no_grad()
def test_unet(tag: str) -> None:
    meta, arrays = load("unet", tag)
    case = meta["unet"][tag]
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in case["unet_config"].items()}
    unet = UNet2DConditionModel(**config)
    unet.load_state_dict(weights(case["unet_salt"], case["unet_parameters"]))
    layers = [place.removesuffix(".attn2.processor") for place in case["installed_on"]]
    model = MIGC(unet.eval(), SimpleNamespace(), DDIMScheduler(), layers=layers)  # type: ignore[arg-type]
    model.load_control_state_dict(convert_migc(checkpoint(case, model), model.control_state_dict()))
    unet.double()
    state = state_for(arrays, tuple(case["height_width"]))
    state.permutations = {layer: arrays["permutation"][None] for layer in layers}
    x = torch.cat([arrays["sample"]] * 2)
    for name, run in case["runs"].items():
        state.branch = branch_of(run, run["ith"])
        out = model._call(x, torch.tensor(run["timestep"]), arrays["encoder_hidden_states"][:2], state)
        torch.testing.assert_close(out.double(), arrays[f"eps_{name}"], atol=5e-5, rtol=0)


def checkpoint(case: dict[str, Any], model: MIGC) -> dict[str, torch.Tensor]:
    """A file of the public form: LDM block names, with the recipe's weights."""
    blocks = {migc_layer(f"a.b.{b}.migc.x"): b for b in ("middle_block.1", *(f"output_blocks.{k}" for k in range(12)))}
    made = {}
    for name, value in model.control_state_dict().items():
        layer, _, parameter = name.partition(".attn2.processor.migc.")
        recipe = f"{blocks[layer]}.{parameter}"
        made[f"model.diffusion_model.{blocks[layer]}.migc.{parameter}"] = recipe_tensor(
            case["ckpt_salt"], recipe, value.shape
        )
    return made


def test_checkpoint_names(reference_dir: Path) -> None:
    known = json.loads((reference_dir / "migc_checkpoint_keys.json").read_text())
    for block, place in known["block_index_to_processor"].items():
        assert f"{migc_layer(f'model.diffusion_model.{block}.migc.norm.bias')}.attn2.processor" == place
    module = MIGCAttention(known["module"]["C"], known["module"]["context_dim"])
    ours = {name: list(value.shape) for name, value in module.state_dict().items()}
    assert ours == {name: shape for name, shape in known["module"]["parameters"]}
    assert sum(p.numel() for p in module.parameters()) == known["module"]["parameter_count"]


@pytest.mark.parametrize("key", ["model.diffusion_model.middle_block.1.norm.weight", "migc.norm", "a.b.c.x.migc.norm"])
def test_a_key_that_has_no_place_is_named(key: str) -> None:
    with pytest.raises(InputError, match=key.replace(".", r"\.")):
        convert_migc({key: torch.zeros(1)}, {})

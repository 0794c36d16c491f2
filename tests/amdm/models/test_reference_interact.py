"""Recorded cases of the official InteractDiffusion code: position net, whole UNet after key conversion, conditions.

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

from amdm.checkpoints.keys.unet import convert_unet
from amdm.layout import Instance, Interaction, Layout
from amdm.models.interactdiffusion import InteractDiffusion, InteractionConditions
from amdm.models.interactdiffusion_net import InteractionNet, between
from tests.recipe import recipe_tensor

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.numeric]


def _cases(folder: Path, kind: str) -> list[tuple[str, dict[str, Any], dict[str, torch.Tensor]]]:
    listed = json.loads((folder / "interact.json").read_text(encoding="utf-8"))[kind]
    found = []
    for tag, case in listed.items():
        with np.load(folder / f"interact_{kind}_{tag}.npz", allow_pickle=False) as data:
            found.append((tag, case, {name: torch.from_numpy(data[name]) for name in data.files}))
    return found


def _conditions(data: dict[str, torch.Tensor]) -> InteractionConditions:
    """Both rows carry the same content, padded with zero slots."""
    masks = data["masks"]

    def padded(name: str) -> torch.Tensor:
        used = data[f"{name}_used"]
        full = torch.zeros(masks.shape[1], used.shape[1])
        full[: len(used)] = used
        return full.expand(len(masks), -1, -1)

    return InteractionConditions(
        padded("subject_boxes"),
        padded("object_boxes"),
        masks,
        padded("subject_positive_embeddings"),
        padded("object_positive_embeddings"),
        padded("action_positive_embeddings"),
    )


def _unet(config: dict[str, Any]) -> UNet2DConditionModel:
    """diffusers' configuration of an LDM one; attention_resolutions are down-sampling factors."""
    levels = len(config["channel_mult"])
    attends = [2**level in config["attention_resolutions"] for level in range(levels)]
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        block_out_channels=tuple(config["model_channels"] * m for m in config["channel_mult"]),
        layers_per_block=config["num_res_blocks"],
        down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        attention_head_dim=config["num_heads"],
        cross_attention_dim=config["context_dim"],
        attention_type="gated",
    )


def test_every_file_of_cases_is_read(reference_dir: Path) -> None:
    listed = json.loads((reference_dir / "interact.json").read_text(encoding="utf-8"))
    names = {f"interact_{kind}_{tag}" for kind in ("position_net", "unet") for tag in listed[kind]}
    assert {path.stem for path in reference_dir.glob("interact_*.npz")} == names


def test_position_net(reference_dir: Path) -> None:
    for tag, case, data in _cases(reference_dir, "position_net"):
        net = InteractionNet(case["in_dim"], case["out_dim"], case["slots"])
        state = {n: recipe_tensor(case["weights_salt"], n, shape) for n, shape in case["parameters"]}
        net.load_state_dict(state)
        conditions = _conditions(data)
        with torch.no_grad():
            tokens = net.double()(**vars(conditions.to(torch.device("cpu"), torch.float64))).tokens
        for row in (0, 1):
            recorded = data[f"out_row{row}"].double()
            torch.testing.assert_close(tokens[row], recorded, atol=1e-5, rtol=0, msg=f"{tag} row {row}")
        if "between_boxes_used" in data:
            boxes = between(data["subject_boxes_used"], data["object_boxes_used"])
            torch.testing.assert_close(boxes, data["between_boxes_used"], atol=0, rtol=0)


@pytest.mark.parametrize(("scale", "suffix"), [(1.0, ""), (0.5, "_fuser_scale_half"), (0.0, "_fuser_scale0")])
def test_unet_through_key_conversion(reference_dir: Path, scale: float, suffix: str) -> None:
    for tag, case, data in _cases(reference_dir, "unet"):
        unet = _unet(case["config"])
        text: Any = SimpleNamespace(dim=case["config"]["position_net"]["in_dim"])
        slots = data["masks"].shape[1]
        model = InteractDiffusion(unet, text, DDIMScheduler(), slots=slots, fuser_scale=scale)
        state = {n: recipe_tensor(case["weights_salt"], n, shape) for n, shape in case["parameters"]}
        unet.load_state_dict(convert_unet(state, unet.state_dict(), unet.config))
        unet.eval().double()
        middle: list[torch.Tensor] = []
        unet.mid_block.register_forward_hook(lambda *call, middle=middle: middle.append(call[2]))
        for k, t in enumerate(data["timesteps"]):
            with torch.no_grad():
                eps = model.predict(data["x"], t, data["context"], _conditions(data))
            torch.testing.assert_close(eps, data[f"eps_{k}{suffix}"], atol=5e-5, rtol=0, msg=f"{tag} {t} {scale}")
        if scale == 1.0:
            torch.testing.assert_close(middle[0], data["middle_block"].double(), atol=5e-5, rtol=0)


class _Counting:
    """Stands in for a text tower: every text gets a pooled vector of its own."""

    dim = 768

    def encode(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        values = torch.tensor([_NUMBERS[text] for text in texts])
        return torch.zeros(len(texts), 77, 768), values.unsqueeze(1).expand(-1, 768)


_NUMBERS: dict[str, float] = {}


def test_conditions_as_the_official_loop_builds_them(reference_dir: Path) -> None:
    facts = json.loads((reference_dir / "interact_conditioning.json").read_text(encoding="utf-8"))
    phrases = facts["phrases_order_sent_to_tokenizer"]
    _NUMBERS.update({phrase: float(k + 1) for k, phrase in enumerate(phrases)})
    shapes = {"subject_boxes": facts["shapes"]["subject_boxes"], "masks": facts["shapes"]["masks"]}
    slots = shapes["masks"][1]
    count = len(phrases) // 3
    subjects, objects, actions = phrases[:count], phrases[count : 2 * count], phrases[2 * count :]
    boxes = facts["subject_boxes_cond"][:count]
    triples = tuple(
        Interaction(Instance(s, tuple(box)), a, Instance(o, tuple(box)))
        for s, a, o, box in zip(subjects, actions, objects, boxes, strict=True)
    )
    model = InteractDiffusion.__new__(InteractDiffusion)
    model.text, model.slots = _Counting(), slots  # type: ignore[assignment]
    model.unet = SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32)  # type: ignore[assignment]
    both = model.conditions([Layout("", interactions=triples)]).for_guidance()
    shown = len(facts["masks_cond"])
    assert list(both.masks.shape) == shapes["masks"]
    assert list(both.subject_boxes.shape) == shapes["subject_boxes"]
    for half, row in (("uncond", 0), ("cond", 1)):
        assert both.masks[row, :shown].tolist() == facts[f"masks_{half}"]
        recorded = torch.tensor(facts[f"subject_boxes_{half}"])
        torch.testing.assert_close(both.subject_boxes[row, : len(recorded)], recorded)
        for role in ("subject", "object", "action"):
            expected = facts.get(f"{role}_slot_values_{half}")
            if expected is not None:
                assert getattr(both, f"{role}_embeddings")[row, :shown, 0].tolist() == expected

"""Components of a saved folder: only classes of diffusers and transformers, made again from their configuration."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from amdm.components import INDEX, check_described, component_class, network_of, read_network, read_tokenizer
from amdm.errors import InputError
from amdm.mini import sizes
from amdm.mini.models import MiniModels


def test_a_class_is_found_by_library_and_name() -> None:
    assert component_class("unet_2", ["diffusers", "UNet2DConditionModel"]) is UNet2DConditionModel
    assert component_class("vae", ["diffusers", "AutoencoderKL"]) is AutoencoderKL
    assert component_class("tokenizer", ["transformers", "CLIPTokenizer"]) is CLIPTokenizer


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("unet", ["diffusers", "AutoencoderKL"]),
        ("unet_2", ["my_unets", "UNet2DConditionModel"]),
        ("vae", ["diffusers", "pipelines"]),
        ("vae", ["diffusers", "StableDiffusionPipeline"]),
        ("text_encoder", ["transformers", "TimmWrapperModel"]),
        ("text_encoder", ["os", "system"]),
        ("tokenizer", None),
        ("tokenizer", [None, None]),
        ("tokenizer", {"transformers": "CLIPTokenizer"}),
    ],
)
def test_what_is_no_class_of_the_kind_is_refused(place: str, named: Any) -> None:
    with pytest.raises(InputError, match=rf"^{place}: .* is no .* of (diffusers|transformers)$"):
        component_class(place, named)


def test_a_network_has_a_shape_and_no_values() -> None:
    made = network_of(UNet2DConditionModel, sizes.UNET)
    assert all(one.is_meta for one in made.parameters()) and not made.training
    with pytest.raises(InputError, match=r"^fits no UNet2DConditionModel: "):
        network_of(UNet2DConditionModel, {**sizes.UNET, "block_out_channels": "wide"})


@pytest.mark.parametrize(
    ("kind", "config", "what"),
    [
        (UNet2DConditionModel, {"block_out_channels": [32, 10**9]}, r"block_out_channels\.1: is larger than 1,048,576"),
        (UNet2DConditionModel, {"layers_per_block": 10**30}, "layers_per_block: is larger than"),
        (UNet2DConditionModel, {"layers_per_block": 10**5}, "fits no .*: it has more than 5,000 tensors"),
        (UNet2DConditionModel, {"down_block_types": ["DownBlock2D"] * 1001}, "down_block_types: has more than 1,000"),
        (CLIPTextModel, {"max_position_embeddings": 10**10}, "max_position_embeddings: is larger than"),
        (CLIPTextModel, {"text_config": {"vocab_size": -(10**9)}}, r"text_config\.vocab_size: is larger than"),
    ],
)
def test_absurd_numbers_are_one_line_and_nothing_is_allocated(kind: Any, config: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"^{what}") as found:
        network_of(kind, config)
    assert "\n" not in str(found.value)
    assert network_of(UNet2DConditionModel, sizes.UNET)  # nothing is counted any more


def test_what_a_folder_holds_is_named_by_its_file(tmp_path: Path) -> None:
    index = {"unet": ["diffusers", "UNet2DConditionModel"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    (tmp_path / "unet").mkdir()
    for content, what in (("{", "cannot be read as JSON"), ("[]", "fits no"), ('{"in_channels": "x"}', "fits no")):
        (tmp_path / "unet" / "config.json").write_text(content)
        with pytest.raises(InputError, match=rf"{re.escape(str(tmp_path / 'unet' / 'config.json'))}: {what}"):
            read_network(tmp_path, index, "unet")
    with pytest.raises(InputError, match=rf"{re.escape(str(tmp_path / INDEX))}: vae: None is no vae"):
        read_network(tmp_path, index, "vae")
    with pytest.raises(InputError, match=rf"{re.escape(str(tmp_path / 'tokenizer'))}: cannot be read as CLIPTokenizer"):
        read_tokenizer(tmp_path, index)


class Mine(UNet2DConditionModel):
    """A user's own class."""


def test_what_could_not_be_made_again_is_not_saved() -> None:
    unet = UNet2DConditionModel(**sizes.UNET)
    check_described({"unet": unet, "tokenizer": MiniModels.load().text.tokenizer})
    with pytest.raises(InputError, match=r"^unet: \[.*Mine'\] is no unet .*; it cannot be saved$"):
        check_described({"unet": Mine(**sizes.UNET)})
    unet.mid_block = UNet2DConditionModel(**{**sizes.UNET, "layers_per_block": 1}).conv_in
    with pytest.raises(InputError, match=r"^unet_2: is not what its configuration describes"):
        check_described({"unet_2": unet})


def test_code_in_a_folder_is_not_run(tmp_path: Path) -> None:
    MiniModels.load().text.tokenizer.save_pretrained(tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "tokenizer_config.json"
    auto = {"auto_map": {"AutoTokenizer": [None, "evil.Evil"]}, "tokenizer_class": "Evil"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **auto}))
    (tmp_path / "tokenizer" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    read_tokenizer(tmp_path, {"tokenizer": ["transformers", "TokenizersBackend"]})
    assert "ran" not in os.listdir(tmp_path)

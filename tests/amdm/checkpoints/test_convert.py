"""Checkpoints as trainers write them, small, converted: values arrive, misfits are named, nothing is half."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from amdm.checkpoints import convert
from amdm.checkpoints.convert import convert_diffusers_folder, convert_interactdiffusion, convert_migc_file
from amdm.checkpoints.keys.unet import ldm_name
from amdm.checkpoints.keys.vae_text import vae_name
from amdm.errors import InputError
from amdm.models.interactdiffusion import InteractDiffusion
from amdm.models.migc_attention import MIGCAttention
from tests.recipe import recipe_tensor

State = dict[str, torch.Tensor]

UNET: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 16,
    "attention_head_dim": 2,
}
VAE: dict[str, Any] = {
    "block_out_channels": (32, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}
TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
MIDDLE = "mid_block.attentions.0.transformer_blocks.0.attn2.processor.migc"


@pytest.fixture(scope="module")
def networks() -> dict[str, State]:
    unet = _gated(UNET, slots=3)
    text = CLIPTextModel(CLIPTextConfig(**TEXT))
    return {"unet": unet.state_dict(), "vae": AutoencoderKL(**VAE).state_dict(), "text_encoder": text.state_dict()}


@pytest.fixture
def entries(networks: dict[str, State]) -> dict[str, Any]:
    """What InteractDiffusion's trainer saves."""
    vae = {vae_name(name, 2): value for name, value in networks["vae"].items()}
    return {
        "model": {ldm_name(name, UNET): value for name, value in networks["unet"].items()},
        "autoencoder": {n: v[..., None, None] if "attn_1" in n and v.ndim == 2 else v for n, v in vae.items()},
        "text_encoder": {f"transformer.text_model.{name}": value for name, value in networks["text_encoder"].items()},
        "diffusion": {"betas": torch.zeros(10)},
        "opt": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"betas": (0.9, 1)}]},
        "iters": 5,
        "config_dict": {"name": "run"},
    }


def test_interactdiffusion(tmp_path: Path, networks: dict[str, State], entries: dict[str, Any]) -> None:
    source, target = tmp_path / "id.pth", tmp_path / "weights" / "id"
    _save_with_omegaconf(entries, source)
    expected = {part: {n: v.to("meta") for n, v in state.items()} for part, state in networks.items()}
    modules = set(sys.modules)
    written = convert_interactdiffusion(source, target, expected, UNET)
    assert written == [target / f"{part}.safetensors" for part in ("unet", "vae", "text_encoder")]
    for part, state in networks.items():
        _require_equal(load_file(target / f"{part}.safetensors"), state)
        with safe_open(target / f"{part}.safetensors", "pt") as file:
            assert file.metadata()["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert "omegaconf.dictconfig" not in set(sys.modules) - modules
    assert [path.name for path in target.parent.iterdir()] == ["id"]


def test_the_official_names(tmp_path: Path, reference_dir: Path) -> None:
    for tag, case in json.loads((reference_dir / "interact.json").read_text(encoding="utf-8"))["unet"].items():
        size = case["config"]
        config = {
            "block_out_channels": tuple(size["model_channels"] * m for m in size["channel_mult"]),
            "layers_per_block": size["num_res_blocks"],
            "cross_attention_dim": size["context_dim"],
            "attention_head_dim": size["num_heads"],
        }
        unet = _gated(config, slots=30, width=size["position_net"]["in_dim"])
        model = {n: recipe_tensor(case["weights_salt"], n, shape) for n, shape in case["parameters"]}
        source = tmp_path / f"{tag}.pth"
        torch.save({"model": model}, source)
        written = convert_interactdiffusion(source, tmp_path / tag, {"unet": unet.state_dict()}, unet.config)
        unet.load_state_dict(load_file(written[0]))
        assert torch.equal(unet.conv_out.bias, model["out.2.bias"])
        assert torch.equal(unet.position_net.null_action_feature, model["position_net.null_action_feature"])


def _drop(entries: dict[str, Any]) -> None:
    del entries["model"]["out.0.bias"]


def _add(entries: dict[str, Any]) -> None:
    entries["autoencoder"]["stranger"] = torch.zeros(1)


def _reshape(entries: dict[str, Any]) -> None:
    entries["text_encoder"]["transformer.text_model.final_layer_norm.bias"] = torch.zeros(3)


def _no_model(entries: dict[str, Any]) -> None:
    del entries["model"]


def _integers(entries: dict[str, Any]) -> None:
    entries["model"]["out.0.bias"] = torch.zeros(32, dtype=torch.int64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop, r"missing: out\.0\.bias"),
        (_add, "left over: stranger"),
        (_reshape, r"of another shape: transformer\.text_model\.final_layer_norm\.bias \(3,\) instead of \(16,\)"),
        (_no_model, "model: is absent"),
        (_integers, r"conv_norm_out\.bias: does not hold floating-point"),
    ],
)
def test_misfits_are_named_and_nothing_is_written(
    tmp_path: Path,
    networks: dict[str, State],
    entries: dict[str, Any],
    change: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
    change(entries)
    torch.save(entries, tmp_path / "id.pth")
    with pytest.raises(InputError, match=rf"id\.pth: .*{message}"):
        convert_interactdiffusion(tmp_path / "id.pth", tmp_path / "id", networks, UNET)
    assert [path.name for path in tmp_path.iterdir()] == ["id.pth"]


def test_written_whole_or_not_at_all(
    tmp_path: Path, networks: dict[str, State], entries: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "id.pth", tmp_path / "id"
    torch.save(entries, source)
    convert_interactdiffusion(source, target, networks, UNET)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    torch.save(entries | {"iters": 6}, source)
    with monkeypatch.context() as patched:
        calls: list[Path] = []

        def disk_full(state: State, path: Path, about: dict[str, str]) -> None:
            calls.append(path)
            if len(calls) == 2:
                raise OSError("No space left on device")
            save_file(state, path, about)

        patched.setattr(convert, "save_file", disk_full)
        with pytest.raises(InputError, match="cannot be written: No space left"):
            convert_interactdiffusion(source, target, networks, UNET)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    convert_interactdiffusion(source, target, networks, UNET)
    assert {path.name: path.read_bytes() for path in target.iterdir()} != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["id", "id.pth"]
    (target / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        convert_interactdiffusion(source, target, networks, UNET)


def test_migc(tmp_path: Path) -> None:
    module = MIGCAttention(16, 8).state_dict()
    key = "model.diffusion_model.middle_block.1.1.transformer_blocks.0.attn2.migc"
    saved = {"state_dict": {f"{key}.{name}": value for name, value in module.items()}, "epoch": 3, "callbacks": {}}
    torch.save(saved, tmp_path / "MIGC.ckpt")
    expected = {f"{MIDDLE}.{name}": value for name, value in module.items()}
    written = convert_migc_file(tmp_path / "MIGC.ckpt", tmp_path / "migc", expected)
    assert written == [tmp_path / "migc" / "migc.safetensors"]
    _require_equal(load_file(written[0]), expected)
    told: list[str] = []
    torch.save(saved | {"other": 1, 7: {}}, tmp_path / "MIGC.ckpt")
    written = convert_migc_file(tmp_path / "MIGC.ckpt", tmp_path / "migc", expected, told.append)
    _require_equal(load_file(written[0]), expected)
    assert told == [f"{tmp_path / 'MIGC.ckpt'}: left aside, not needed: 'other', 7"]


def test_a_checkpoint_of_lightning_with_callbacks_and_numpy_numbers(tmp_path: Path) -> None:
    module = MIGCAttention(16, 8).state_dict()
    key = "model.diffusion_model.middle_block.1.1.transformer_blocks.0.attn2.migc"
    package = ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    kind = type("ModelCheckpoint", (), {"__module__": package.__name__})
    hparams = type("AttributeDict", (dict,), {"__module__": package.__name__})
    package.ModelCheckpoint, package.AttributeDict = kind, hparams  # type: ignore[attr-defined]
    best = {"best_model_score": np.float64(0.5), "scores": np.arange(3), "kind": kind()}
    saved = {
        "state_dict": {f"{key}.{name}": value for name, value in module.items()},
        "callbacks": {kind: best, "EarlyStopping{'monitor': 'loss'}": {"wait": np.int64(3), "on": np.bool_(True)}},
        "hyper_parameters": hparams(rate=np.float32(1e-4)),
        "loops": None,
    }
    with pytest.MonkeyPatch.context() as patched:
        for name in ("pytorch_lightning", "pytorch_lightning.callbacks"):
            patched.setitem(sys.modules, name, ModuleType(name))
        patched.setitem(sys.modules, package.__name__, package)
        torch.save(saved, tmp_path / "MIGC.ckpt")
    expected = {f"{MIDDLE}.{name}": value for name, value in module.items()}
    written = convert_migc_file(tmp_path / "MIGC.ckpt", tmp_path / "migc", expected, pytest.fail)
    _require_equal(load_file(written[0]), expected)
    assert package.__name__ not in sys.modules


def test_interactdiffusion_with_an_entry_of_another_program(
    tmp_path: Path, networks: dict[str, State], entries: dict[str, Any]
) -> None:
    told: list[str] = []
    torch.save(entries | {"model_ema": {}}, tmp_path / "id.pth")
    written = convert_interactdiffusion(tmp_path / "id.pth", tmp_path / "id", networks, UNET, told.append)
    _require_equal(load_file(written[0]), networks["unet"])
    assert len(told) == 1 and told[0].endswith("left aside, not needed: 'model_ema'")


def test_diffusers_folder(tmp_path: Path, networks: dict[str, State]) -> None:
    source = tmp_path / "v1-2"
    for part in networks:
        (source / part).mkdir(parents=True)
    unet = source / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(networks["unet"], unet)
    torch.save(networks["vae"], source / "vae" / "diffusion_pytorch_model.bin")
    with pytest.raises(InputError, match=r"text_encoder: holds neither model\.safetensors nor pytorch_model\.bin"):
        convert_diffusers_folder(source, tmp_path / "out", networks)
    CLIPTextModel(CLIPTextConfig(**TEXT)).save_pretrained(source / "text_encoder")
    save_file(
        {f"text_model.{name}": value for name, value in networks["text_encoder"].items()},
        source / "text_encoder" / "model.safetensors",
    )
    written = convert_diffusers_folder(source, tmp_path / "out", networks)
    for path in written:
        _require_equal(load_file(path), networks[path.stem])
    unet.write_bytes(unet.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be read as safetensors"):
        convert_diffusers_folder(source, tmp_path / "out", networks)
    unet.unlink()
    unet.symlink_to(written[0])
    with pytest.raises(InputError, match="is a link out of its folder"):
        convert_diffusers_folder(source, tmp_path / "out", networks)


def _gated(config: dict[str, Any], slots: int, width: int = 16) -> UNet2DConditionModel:
    unet = UNet2DConditionModel(**config, attention_type="gated")
    text: Any = SimpleNamespace(dim=width)
    InteractDiffusion(unet, text, DDIMScheduler(), slots=slots)
    return unet


def _save_with_omegaconf(entries: dict[str, Any], path: Path) -> None:
    """Save with an object of ``omegaconf.dictconfig.DictConfig`` inside; the module is there only meanwhile."""
    module = ModuleType("omegaconf.dictconfig")
    kind = type("DictConfig", (), {"__module__": module.__name__})
    config = kind()
    vars(config).update({"_metadata": dict, "_parent": None})
    module.DictConfig = kind  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "omegaconf", ModuleType("omegaconf"))
        patched.setitem(sys.modules, module.__name__, module)
        torch.save(entries | {"config_dict": {"_content": config}}, path)


def _require_equal(found: State, wanted: State) -> None:
    assert set(found) == set(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)

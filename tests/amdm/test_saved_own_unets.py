"""Saved pipelines of a user's own UNets: the same pictures again, plain diffusers, what does not fit."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from amdm.errors import InputError
from amdm.hub import model_card
from amdm.io.files import sha256
from amdm.pipeline import AMDMPipeline
from tests.amdm.test_own_unets import CAPTION, noise, quiet, tiny_stable_diffusion, tiny_unet
from tests.amdm.test_serialization import COMMIT, refusal

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def base() -> StableDiffusionPipeline:
    return tiny_stable_diffusion()


@pytest.fixture(scope="module")
def pair(base: StableDiffusionPipeline) -> AMDMPipeline:
    """One of the two has its kernels in channels_last order, as the mini base; the other has not."""
    return AMDMPipeline.from_unets({"mine": tiny_unet(base, 1), "base": base.unet}, base, {"s": 2, "weights": [0.4]})


@pytest.fixture(scope="module")
def saved(pair: AMDMPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    pair.save_pretrained(folder)
    return folder


def drawn(pipe: AMDMPipeline) -> dict[str, bytes]:
    found = quiet(pipe)(CAPTION, latents=noise(), num_inference_steps=4, all_models=True).images_by_model
    return {name: images[0].tobytes() for name, images in found.items()}


def test_the_same_pictures_to_the_byte(pair: AMDMPipeline, saved: Path) -> None:
    again = AMDMPipeline.from_pretrained(saved)
    assert drawn(again) == drawn(pair) and again.settings == pair.settings
    assert again.components.keys() == pair.components.keys() and again.preset == "mine+base"
    assert AMDMPipeline.from_pretrained(saved, overrides={"aggregation.s": 1}).settings.aggregation.s == 1
    assert AMDMPipeline.from_pretrained(saved, dtype=torch.float16).dtype == torch.float16


def test_a_repository_is_read_from_the_cache(pair: AMDMPipeline, saved: Path, tmp_path: Path) -> None:
    place = tmp_path / "models--someone--own"
    shutil.copytree(saved, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    again = AMDMPipeline.from_pretrained("someone/own", cache_dir=tmp_path, local_files_only=True)
    assert drawn(again) == drawn(pair)


def test_a_folder_a_component_each_once(pair: AMDMPipeline, saved: Path) -> None:
    index = json.loads((saved / "model_index.json").read_text())
    parts = {name for name, one in index.items() if isinstance(one, list)}
    assert parts == {"unet", "unet_2", "vae", "text_encoder", "tokenizer", "scheduler"}
    assert {path.name for path in saved.iterdir() if path.is_dir()} == parts
    assert index["amdm"]["unets"] == {"mine": "unet", "base": "unet_2"}
    assert index["amdm"]["channels_last"] == ["unet_2"] and index["amdm"]["settings"]["aggregation"]["s"] == 2
    files = {path.relative_to(saved).as_posix() for name in parts for path in (saved / name).iterdir()}
    digests = json.loads((saved / "digests.json").read_text())
    assert digests.keys() == files and all(sha256(saved / name) == digest for name, digest in digests.items())
    assert {path.suffix for path in saved.rglob("*") if path.is_file()} == {".json", ".safetensors"}


def test_plain_diffusers_reads_each_unet_alone(pair: AMDMPipeline, saved: Path) -> None:
    for place, name in (("unet", "mine"), ("unet_2", "base")):
        plain = UNet2DConditionModel.from_pretrained(saved / place).state_dict()
        ours = pair.models.models[f"stable_diffusion:{name}"].unet.state_dict()
        assert plain.keys() == ours.keys() and all(torch.equal(one, ours[key]) for key, one in plain.items())


def test_one_unet_of_two_names_is_saved_once(base: StableDiffusionPipeline, tmp_path: Path) -> None:
    AMDMPipeline.from_unets({"a": base.unet, "b": base.unet}, base).save_pretrained(tmp_path)
    assert not (tmp_path / "unet_2").exists()
    again = AMDMPipeline.from_pretrained(tmp_path).models.models
    assert again["stable_diffusion:a"].unet is again["stable_diffusion:b"].unet


def test_a_single_unet_keeps_its_scheduler_and_dtype(base: StableDiffusionPipeline, tmp_path: Path) -> None:
    one = AMDMPipeline.from_unets({"mine": tiny_unet(base, 2).to(torch.bfloat16)}, base)
    one.scheduler = EulerDiscreteScheduler.from_config(one.scheduler.config, timestep_spacing="trailing")
    one.save_pretrained(tmp_path)
    again = AMDMPipeline.from_pretrained(tmp_path)
    assert type(again.scheduler) is EulerDiscreteScheduler and again.dtype == torch.bfloat16
    assert again.vae.dtype == torch.float32 and drawn(again) == drawn(one)


def test_adapters_are_not_lost_in_silence(base: StableDiffusionPipeline, tmp_path: Path) -> None:
    unet = tiny_unet(base, 1)
    unet.add_module("adapter", torch.nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"^unet: is not what its configuration describes"):
        AMDMPipeline.from_unets({"a": unet}, base).save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def index_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "model_index.json").read_text())
    return content


def of_index(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def spoil(folder: Path) -> None:
        content = index_of(folder)
        change(content)
        (folder / "model_index.json").write_text(json.dumps(content))

    return spoil


def of_file(name: str, write: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A file is another one, and its digest is right: what a stranger could publish."""

    def spoil(folder: Path) -> None:
        write(folder / name)
        digests = json.loads((folder / "digests.json").read_text())
        (folder / "digests.json").write_text(json.dumps({**digests, name: sha256(folder / name)}))

    return spoil


def without(path: Path, name: str) -> None:
    state = load_file(path)
    del state[name]
    save_file(state, path)


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a class of no library": (
        of_index(lambda index: index.update(unet_2=["my_code", "UNet2DConditionModel"])),
        r"model_index\.json: unet_2: \['my_code', .* is no unet \(UNet2DConditionModel\) of diffusers",
    ),
    "a component that is not named": (
        of_index(lambda index: index.pop("vae")),
        r"model_index\.json: vae: None is no vae \(AutoencoderMixin\) of diffusers",
    ),
    "no folders of UNets": (
        of_index(lambda index: index["amdm"].pop("unets")),
        r"model_index\.json: amdm\.unets: must be a dict",
    ),
    "a folder outside": (
        of_index(lambda index: index["amdm"]["unets"].update(mine="../unet")),
        r"amdm\.unets\.mine: '\.\./unet' is not a folder of a UNet",
    ),
    "a folder that is absent": (
        of_index(lambda index: index["amdm"]["unets"].update(mine="unet_3")),
        r"digests\.json: unet_3/config\.json: has no digest",
    ),
    "a model without UNet": (
        of_index(lambda index: index["amdm"]["unets"].pop("mine")),
        r"amdm\.settings\.models: 'stable_diffusion:mine' has no UNet",
    ),
    "an unknown setting": (
        of_index(lambda index: index["amdm"]["settings"]["aggregation"].update(sx=1)),
        r"model_index\.json: amdm\.settings\.aggregation[a-z.]*\.sx: is not a field here",
    ),
    "an unknown order": (
        of_index(lambda index: index["amdm"].update(channels_last=["unet", 3])),
        r"amdm\.channels_last: '3' is not a network",
    ),
    "another configuration": (
        of_file("unet/config.json", lambda path: path.write_text('{"block_out_channels": 3}')),
        r"unet/config\.json: fits no UNet2DConditionModel",
    ),
    "a configuration of another space": (
        of_file(
            "unet/config.json",
            lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "in_channels": 4})),
        ),
        r"unets\.mine: has in_channels 4; vae and text_encoder go with 8",
    ),
    "a tensor that is missing": (
        of_file(f"unet_2/{WEIGHTS}", lambda path: without(path, "conv_in.weight")),
        r"unet_2: conv_in\.weight: is missing",
    ),
    "a tensor that is left over": (
        of_file(f"vae/{WEIGHTS}", lambda path: save_file({**load_file(path), "x": torch.ones(1)}, path)),
        r"vae: x: belongs to no model",
    ),
    "pickled weights": (
        of_file(f"unet/{WEIGHTS}", lambda path: torch.save({"a": torch.ones(1)}, path)),
        r"unet/diffusion_pytorch_model\.safetensors: cannot be read as safetensors",
    ),
    "a broken tokenizer": (
        of_file("tokenizer/tokenizer.json", lambda path: path.write_text("{}")),
        r"tokenizer: cannot be read as TokenizersBackend",
    ),
    "a file beside the tokenizer's": (
        lambda folder: (folder / "tokenizer" / "added_tokens.json").write_text("{}"),
        r"digests\.json: tokenizer/added_tokens\.json: has no digest",
    ),
    "an altered file": (
        lambda folder: (folder / "unet_2" / "config.json").write_text("{}"),
        r"unet_2/config\.json: is absent, or not the file that was saved",
    ),
    "pickles alone": (
        lambda folder: (folder / "unet" / WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model.bin"),
        r"unet/diffusion_pytorch_model\.safetensors: is absent",
    ),
}


@pytest.mark.parametrize("name", list(SPOILT))
def test_what_is_unknown_or_broken_is_one_line(name: str, saved: Path, tmp_path: Path) -> None:
    spoil, what = SPOILT[name]
    assert re.search(what, refusal(saved, spoil, tmp_path))


def test_the_card_shows_how_a_caption_is_drawn(pair: AMDMPipeline) -> None:
    card = model_card("someone/own", pair._about(), {"mine": "StableDiffusion", "base": "StableDiffusion"})
    assert card.startswith("---\nlibrary_name: diffusers\n") and "layout" not in card
    assert "mine, aggregated with base while sampling" in card and "`unet_2`" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None and 'from_pretrained("someone/own")' in code[1]
    compile(code[1], "README.md", "exec")

"""Saved folders: diffusers' layout, each component readable alone, digests, the Hub's cache."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel

from amdm.errors import InputError
from amdm.hub import lora_file
from amdm.io.files import sha256
from amdm.mini.sizes import build_vae
from amdm.model_set import ModelSet
from amdm.pipeline import AMDMPipeline
from amdm.serialization import read_scheduler

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def pipe() -> AMDMPipeline:
    return AMDMPipeline.from_pretrained("mini", overrides={"aggregation.s": 2})


@pytest.fixture(scope="module")
def saved(pipe: AMDMPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    pipe.save_pretrained(folder)
    return folder


def tensors(models: ModelSet) -> dict[str, torch.Tensor]:
    return {f"{part}/{key}": one for part, own in models.modules().items() for key, one in own.state_dict().items()}


def assert_same_weights(ours: AMDMPipeline, theirs: AMDMPipeline) -> None:
    first, second = tensors(ours.models), tensors(theirs.models)
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def refusal(saved: Path, spoil: Callable[[Path], object], tmp_path: Path) -> str:
    """What is said of a spoilt copy of a saved folder: one line that names it."""
    folder = shutil.copytree(saved, tmp_path / "copy")
    spoil(folder)
    with pytest.raises(InputError) as found:
        AMDMPipeline.from_pretrained(folder)
    assert str(folder) in str(found.value) and "\n" not in str(found.value)
    return str(found.value)


def test_a_folder_a_component_and_an_index(saved: Path) -> None:
    index = json.loads((saved / "model_index.json").read_text())
    parts = {name: one for name, one in index.items() if isinstance(one, list)}
    assert index["_class_name"] == "AMDMPipeline" and index["amdm"]["settings"]["aggregation"]["s"] == 2
    assert parts["unet"] == ["diffusers", "UNet2DConditionModel"] and parts["migc"] == ["amdm", "MIGC"]
    assert {path.name for path in saved.iterdir() if path.is_dir()} == parts.keys()
    digests = json.loads((saved / "digests.json").read_text())
    files = {path.relative_to(saved).as_posix() for name in parts for path in (saved / name).iterdir()}
    assert digests.keys() == files and all(sha256(saved / name) == digest for name, digest in digests.items())


def test_libraries_read_each_component_alone(pipe: AMDMPipeline, saved: Path) -> None:
    base = UNet2DConditionModel.from_pretrained(saved, subfolder="unet").state_dict()
    ours = pipe.models.models["migc"].unet.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in base.items())
    text = CLIPTextModel.from_pretrained(saved, subfolder="text_encoder").state_dict()
    assert all(torch.equal(value, text[name]) for name, value in pipe.text_encoder.state_dict().items())
    schedule = DDIMScheduler.from_pretrained(saved, subfolder="scheduler").alphas_cumprod
    assert torch.equal(schedule, pipe.scheduler.alphas_cumprod)
    own = load_file(saved / "migc" / "diffusion_pytorch_model.safetensors")
    assert own and not own.keys() & base.keys()  # what is shared is stored once


def test_a_loaded_pipeline_shares_its_base_again(pipe: AMDMPipeline, saved: Path) -> None:
    again = AMDMPipeline.from_pretrained(saved, overrides=["aggregation.s=1"])
    assert_same_weights(again, pipe)
    first, second = (again.models.models[name].unet for name in ("interactdiffusion", "migc"))
    assert first.conv_in.weight is second.conv_in.weight
    assert again.settings.aggregation is not None and again.settings.aggregation.s == 1 and again._scheduler is None


def test_a_repository_is_read_from_the_cache(pipe: AMDMPipeline, saved: Path, tmp_path: Path) -> None:
    place = tmp_path / "models--someone--pair"
    shutil.copytree(saved, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    for name in ("main", "v1"):
        (place / "refs" / name).write_text(COMMIT)
    for revision in (None, "v1", COMMIT):
        again = AMDMPipeline.from_pretrained(
            "someone/pair", revision=revision, cache_dir=tmp_path, local_files_only=True
        )
        assert_same_weights(again, pipe)
    where = {"cache_dir": tmp_path, "local_files_only": True}
    with pytest.raises(InputError, match="name_or_path: someone/pair at v2 is not in the cache"):
        AMDMPipeline.from_pretrained("someone/pair", revision="v2", **where)
    with pytest.raises(InputError, match="name_or_path: someone/other is not in the cache"):
        AMDMPipeline.from_pretrained("someone/other", **where)
    with pytest.raises(InputError, match="revision: is of a repository; mini is none"):
        AMDMPipeline.from_pretrained("mini", revision="v1")


def test_of_another_pipeline_only_the_index_is_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def bring(repo_id: str, *, allow_patterns: list[str], **given: Any) -> str:
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", bring)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(InputError, match="_class_name: is 'StableDiffusionPipeline', and no AMDMPipeline"):
        AMDMPipeline.from_pretrained("someone/large")
    assert asked == [["model_index.json"]]
    assert lora_file("someone/many", "one.safetensors", None) == tmp_path / "one.safetensors"
    assert asked[1:] == [["one.safetensors"]]
    lora_file("loras/absent.safetensors", None, None)  # a file, and no repository of that name
    assert len(asked) == 2


def test_a_set_scheduler_is_saved(tmp_path: Path) -> None:
    one = AMDMPipeline.from_pretrained("mini", "migc")
    one.scheduler = EulerDiscreteScheduler.from_config(one.scheduler.config, timestep_spacing="trailing")
    one.save_pretrained(tmp_path)
    again = AMDMPipeline.from_pretrained(tmp_path).scheduler
    assert type(again) is EulerDiscreteScheduler and again.config.timestep_spacing == "trailing"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"num_train_timesteps": 10**12}, r"num_train_timesteps: must be in 1 … 10,000"),
        ({"num_train_timesteps": True}, r"num_train_timesteps: must be in 1 … 10,000"),
        ({"trained_betas": [[0.1], [0.1, 0.2]]}, "fits no DDIMScheduler: "),
        ({"_class_name": "UNet2DConditionModel"}, "_class_name: 'UNet2DConditionModel' is not a scheduler"),
    ],
)
def test_a_schedule_that_is_none_is_one_line(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.parent.mkdir()
    config = {"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear"}
    path.write_text(json.dumps(config))
    digests = {"scheduler/scheduler_config.json": "any"}
    assert type(read_scheduler(tmp_path, digests)) is DDIMScheduler
    path.write_text(json.dumps({**config, **changed}))
    with pytest.raises(InputError, match=rf"scheduler_config\.json: {what}") as found:
        read_scheduler(tmp_path, digests)
    assert "\n" not in str(found.value)


def test_saved_files_can_be_read_by_whoever_reads_others(saved: Path) -> None:
    modes = {path.stat().st_mode for path in saved.rglob("*") if path.is_file()}
    assert len(modes) == 1


def change_index(folder: Path, **own: Any) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **own}))


SPOILT = {
    "another pipeline": (
        lambda folder: change_index(folder, _class_name="StableDiffusionPipeline"),
        "_class_name: is 'StableDiffusionPipeline', and no AMDMPipeline",
    ),
    "a later form": (
        lambda folder: change_index(
            folder, amdm=json.loads((folder / "model_index.json").read_text())["amdm"] | {"format": 3}
        ),
        "format: is 3; this version reads 2",
    ),
    "no fields": (lambda folder: change_index(folder, amdm={}), r"amdm\.format: must be a int"),
    "altered": (lambda folder: (folder / "migc" / "config.json").write_text("{}"), "not the file that was saved"),
    "absent": (lambda folder: (folder / "vae" / "config.json").unlink(), "is absent"),
    "no digests": (lambda folder: (folder / "digests.json").unlink(), r"digests\.json: is absent"),
    "the form of before": (lambda folder: (folder / "model_index.json").rename(folder / "amdm.json"), "is absent"),
    "no index": (lambda folder: (folder / "model_index.json").unlink(), r"model_index\.json: is absent"),
    "unlisted": (lambda folder: (folder / "digests.json").write_text("{}"), "has no digest"),
    "outside": (
        lambda folder: (folder / "digests.json").write_text('{"../x": "0"}'),
        r"\.\./x: is not a name of a saved file",
    ),
}


@pytest.mark.parametrize("name", list(SPOILT))
def test_what_is_no_saved_pipeline_is_one_line(name: str, saved: Path, tmp_path: Path) -> None:
    spoil, what = SPOILT[name]
    assert re.search(what, refusal(saved, spoil, tmp_path))


def test_another_kind_of_network_is_not_saved(tmp_path: Path) -> None:
    one = AMDMPipeline.from_pretrained("mini", "migc")
    one.vae = build_vae()
    one.save_pretrained(tmp_path / "same kind")
    one.vae = type(one.vae).from_config({**build_vae().config, "num_decoder_blocks": (1, 1, 1)})
    with pytest.raises(InputError, match="vae: is not of the kind that mini's models have; it cannot be saved"):
        one.save_pretrained(tmp_path / "another")
    assert not (tmp_path / "another").exists()


def test_push_writes_a_card_beside_what_is_saved(pipe: AMDMPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Client:
        def __init__(self, token: str | None) -> None:
            calls.append(token)

        def create_repo(self, repo_id: str, **given: Any) -> None:
            calls.append((repo_id, given))

        def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> str:
            names = {path.relative_to(folder_path).as_posix() for path in folder_path.rglob("*") if path.is_file()}
            calls.append((repo_id, names, (folder_path / "README.md").read_text(encoding="utf-8"), commit_message))
            return "https://hub/commit/1"

    monkeypatch.setattr(huggingface_hub, "HfApi", Client)
    assert pipe.push_to_hub("someone/pair", private=True, token="t", commit_message="First") == "https://hub/commit/1"
    token, created, (repo_id, names, card, message) = calls
    assert token == "t" and created == ("someone/pair", {"private": True, "exist_ok": True})
    assert repo_id == "someone/pair" and message == "First"
    assert {"README.md", "model_index.json", "digests.json", "unet/config.json"} <= names
    assert card.startswith("---\nlibrary_name: diffusers\n") and 'from_pretrained("someone/pair")' in card
    assert "`migc` (MIGC)" in card and '"s": 2' in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code is not None
    compile(code[1], "README.md", "exec")
    with pytest.raises(InputError, match="repo_id: 'pair' has not the form user/name"):
        pipe.push_to_hub("pair")

    def refused(self: Any, repo_id: str, **given: Any) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(Client, "create_repo", refused)
    with pytest.raises(InputError, match="repo_id: someone/pair cannot be written: no network"):
        pipe.push_to_hub("someone/pair")

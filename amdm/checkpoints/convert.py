"""Public checkpoints turned into safetensors, one file a network, under the names that our networks have.

None of these was tried on the published files: names and top-level entries come from the official loaders and trainers
(jiuntian/interactdiffusion trainer.py and inference.py, MIGC's migc_utils.py). What differs is refused by name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from amdm.checkpoints.interactdiffusion import convert_unet
from amdm.checkpoints.ldm import convert_text_encoder, convert_vae
from amdm.checkpoints.matching import require_match
from amdm.checkpoints.migc import convert_migc
from amdm.checkpoints.unpickle import read_checkpoint, tensors_of
from amdm.errors import InputError
from amdm.files import sha256

State = Mapping[str, torch.Tensor]
Parts = Mapping[str, State]
"""``state_dict()`` by part (``unet``, ``vae``, ``text_encoder``, ``migc``); the meta device will do."""

_LDM_ENTRIES = {"unet": "model", "vae": "autoencoder", "text_encoder": "text_encoder"}
_TRAINING = {"diffusion", "opt", "scheduler", "scaler", "iters", "config_dict", "ema"}
_LIGHTNING = {"callbacks", "epoch", "global_step", "hparams_name", "hyper_parameters", "loops", "lr_schedulers"}
_LIGHTNING |= {"optimizer_states", "pytorch-lightning_version"}
"""Entries that hold nothing a network needs. ``ema``: the official loader takes ``model`` instead."""

_DIFFUSERS_FILES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_TRANSFORMERS_FILES = ("model.safetensors", "pytorch_model.bin")


def convert_interactdiffusion(
    source: Path, target: Path, expected: Parts, unet_config: Mapping[str, Any]
) -> list[Path]:
    """InteractDiffusion's v1.0 or v1.1 file (``torch.save``, LDM names) → ``target/<part>.safetensors``.

    Args:
        expected: the parts to take, of ``unet`` (position net and fusers included), ``vae`` and ``text_encoder``.
        unet_config: the UNet's ``config``.

    Returns:
        The files written. ``target`` is written whole or not at all; an earlier conversion in it is replaced.

    Raises:
        InputError: the file cannot be read safely; an entry or key is missing, left over or of another shape.
    """
    converters: dict[str, Callable[..., dict[str, torch.Tensor]]] = {
        "unet": partial(convert_unet, config=unet_config),
        "vae": convert_vae,
        "text_encoder": convert_text_encoder,
    }
    content = read_checkpoint(source, stand_ins=True)
    _require_entries(content, _TRAINING.union(_LDM_ENTRIES.values()), source)
    parts = {
        part: converters[part](tensors_of(content, file=source, field=_LDM_ENTRIES[part]), wanted, file=source)
        for part, wanted in expected.items()
    }
    return _write(target, parts, dict.fromkeys(parts, source))


def convert_migc_file(source: Path, target: Path, expected: State) -> list[Path]:
    """``MIGC_SD14.ckpt`` → ``target/migc.safetensors``. ``expected``: ``MIGC.migc_state_dict()``.

    Returns and raises as :func:`convert_interactdiffusion`.
    """
    content = read_checkpoint(source, stand_ins=True)
    _require_entries(content, {"state_dict", *_LIGHTNING}, source)
    state = convert_migc(tensors_of(content, file=source, field="state_dict"), expected, file=source)
    return _write(target, {"migc": state}, {"migc": source})


def convert_diffusers_folder(source: Path, target: Path, expected: Parts) -> list[Path]:
    """A folder in diffusers' form (InteractDiffusion v1.2) → ``target/<part>.safetensors``.

    Of each part its safetensors file is read, where there is none its ``.bin``, without any class but tensors.
    Returns and raises as :func:`convert_interactdiffusion`; a file that is a link out of ``source`` is refused.
    """
    sources = {part: _part_file(source, part) for part in expected}
    parts = {part: _same_names(_read(sources[part]), wanted, sources[part]) for part, wanted in expected.items()}
    return _write(target, parts, sources)


def _require_entries(content: Mapping[Any, Any], known: Collection[str], file: Path) -> None:
    if unknown := sorted(repr(entry)[:80] for entry in content if entry not in known):
        raise InputError(f"holds entries that no published checkpoint has: {', '.join(unknown[:4])}", file=file)


def _part_file(folder: Path, part: str) -> Path:
    names = _TRANSFORMERS_FILES if part == "text_encoder" else _DIFFUSERS_FILES
    for path in (folder / part / name for name in names):
        if path.is_file():
            if not path.resolve().is_relative_to(folder.resolve()):
                raise InputError("is a link out of its folder", file=path)
            return path
    raise InputError(f"holds neither {' nor '.join(names)}", file=folder / part)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".bin":
        return tensors_of(read_checkpoint(path), file=path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"cannot be read as safetensors: {error}", file=path) from error


def _same_names(state: State, expected: State, file: Path) -> dict[str, torch.Tensor]:
    """``state`` under the names of ``expected``, which transformers 5 writes without their first component."""
    source = {_published(name): name for name in expected}
    known = {name: value for name, value in state.items() if name != "text_model.embeddings.position_ids"}
    require_match({theirs: tuple(expected[ours].shape) for theirs, ours in source.items()}, known, file=file)
    return {ours: state[theirs] for theirs, ours in source.items()}


def _published(name: str) -> str:
    is_text = name.startswith(("embeddings.", "encoder.layers.", "final_layer_norm."))
    return f"text_model.{name}" if is_text else name


def _write(target: Path, parts: Parts, sources: Mapping[str, Path]) -> list[Path]:
    """Write ``parts`` beside ``target``, then put the folder in its place."""
    names = {part: f"{part}.safetensors" for part in parts}
    _require_replaceable(target, names.values())
    for part, state in parts.items():
        if odd := [name for name, value in state.items() if not value.is_floating_point()]:
            raise InputError("does not hold floating-point numbers", file=sources[part], field=odd[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            for part, state in parts.items():
                about = {"source_sha256": sha256(sources[part])}  # one entry: several are written in no fixed order
                save_file({name: value.contiguous() for name, value in state.items()}, fresh / names[part], about)
            if target.exists():
                target.rename(Path(scratch) / "replaced")
            fresh.rename(target)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"cannot be written: {error}", file=target) from error
    return [target / name for name in names.values()]


def _require_replaceable(target: Path, names: Collection[str]) -> None:
    if target.exists() and not target.is_dir():
        raise InputError("is no folder", file=target)
    others = sorted(path.name for path in target.glob("*") if path.name not in names)
    if others:
        raise InputError(f"holds {others[0]}, which no conversion wrote; name another folder", file=target)

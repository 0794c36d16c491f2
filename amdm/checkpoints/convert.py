"""Public checkpoints turned into safetensors, one file a network, under the names that our networks have.

None of these was tried on the published files: names and top-level entries come from the official loaders and trainers
(jiuntian/interactdiffusion trainer.py and inference.py, MIGC's migc_utils.py). What differs is refused by name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from amdm.checkpoints.catalogue import file_named
from amdm.checkpoints.keys.match import require_match
from amdm.checkpoints.keys.migc import convert_migc
from amdm.checkpoints.keys.unet import convert_unet
from amdm.checkpoints.keys.vae_text import convert_text_encoder, convert_vae
from amdm.checkpoints.unpickle import read_checkpoint, tensors_of
from amdm.checkpoints.weights_folder import is_as_recorded, is_there, read_lock, record, require
from amdm.errors import InputError
from amdm.io.files import sha256, usual_permissions
from amdm.models.control import ControlModel

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
    source: Path,
    target: Path,
    expected: Parts,
    unet_config: Mapping[str, Any],
    report: Callable[[str], None] = print,
) -> list[Path]:
    """InteractDiffusion's v1.0 or v1.1 file (``torch.save``, LDM names) → ``target/<part>.safetensors``.

    Args:
        expected: the parts to take, of ``unet`` (position net and fusers included), ``vae`` and ``text_encoder``.
        unet_config: the UNet's ``config``.
        report: is told of entries that are known of no published checkpoint, and left aside.

    Returns:
        The files written. ``target`` is written whole or not at all; an earlier conversion in it is replaced.

    Raises:
        InputError: the file cannot be read safely; a needed entry is missing; a key is missing, left over
            or of another shape.
    """
    converters: dict[str, Callable[..., dict[str, torch.Tensor]]] = {
        "unet": partial(convert_unet, config=unet_config),
        "vae": convert_vae,
        "text_encoder": convert_text_encoder,
    }
    content = read_checkpoint(source, stand_ins=True)
    _tell_of_others(content, _TRAINING.union(_LDM_ENTRIES.values()), source, report)
    parts = {
        part: converters[part](tensors_of(content, file=source, field=_LDM_ENTRIES[part]), wanted, file=source)
        for part, wanted in expected.items()
    }
    return _write(target, parts, dict.fromkeys(parts, source))


def convert_migc_file(source: Path, target: Path, expected: State, report: Callable[[str], None] = print) -> list[Path]:
    """``MIGC_SD14.ckpt`` → ``target/migc.safetensors``. ``expected``: ``MIGC.control_state_dict()``.

    Returns and raises as :func:`convert_interactdiffusion`.
    """
    content = read_checkpoint(source, stand_ins=True)
    _tell_of_others(content, {"state_dict", *_LIGHTNING}, source, report)
    state = convert_migc(tensors_of(content, file=source, field="state_dict"), expected, file=source)
    return _write(target, {"migc": state}, {"migc": source})


def convert_diffusers_folder(source: Path, target: Path, expected: Parts, variant: str = "") -> list[Path]:
    """A folder in diffusers' form (InteractDiffusion v1.2) → ``target/<part>.safetensors``.

    Of each part its safetensors file is read, where there is none its ``.bin``, without any class but tensors.
    variant: as diffusers names files, for example ``"fp16"``.
    Returns and raises as :func:`convert_interactdiffusion`; a file that is a link out of ``source`` is refused.
    """
    sources = {part: _part_file(source, part, variant) for part in expected}
    parts = {part: _same_names(_read(sources[part]), wanted, sources[part]) for part, wanted in expected.items()}
    return _write(target, parts, sources)


def _tell_of_others(
    content: Mapping[Any, Any], known: Collection[str], file: Path, report: Callable[[str], None]
) -> None:
    """Say what else a file holds: programs that trained on leave entries of their own, which no network needs."""
    if others := sorted(repr(entry)[:80] for entry in content if entry not in known):
        more = f" and {len(others) - 4} more" if len(others) > 4 else ""
        report(str(InputError(f"left aside, not needed: {', '.join(others[:4])}{more}", file=file)))


def _part_file(folder: Path, part: str, variant: str) -> Path:
    names: tuple[str, ...] = _TRANSFORMERS_FILES if part == "text_encoder" else _DIFFUSERS_FILES
    if variant:
        names = tuple(f"{stem}.{variant}.{suffix}" for stem, _, suffix in (name.rpartition(".") for name in names))
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
                with usual_permissions(fresh / names[part]):
                    save_file({name: value.contiguous() for name, value in state.items()}, fresh / names[part], about)
            if target.exists():
                target.rename(Path(scratch) / "replaced")
            fresh.rename(target)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"cannot be written: {error}", file=target) from error
    return [target / name for name in names.values()]


def _require_replaceable(target: Path, names: Collection[str]) -> None:
    if target.exists() and not target.is_dir():
        raise InputError("is not a folder", file=target)
    others = sorted(path.name for path in target.glob("*") if path.name not in names)
    if others:
        raise InputError(f"holds {others[0]}, which no conversion wrote; name another folder", file=target)


def converted_place(name: str) -> str:
    """Where the conversion of a catalogue's file lies under the weights folder, or would lie."""
    return f"converted/{name}/{CONVERSIONS[name].part}.safetensors"


def require_converted(name: str, folder: Path) -> Path:
    """The converted file.

    Raises:
        InputError: it is absent or torn (the command that makes it is named), is of another source file, or is not what
            the conversion wrote.
    """
    path = folder / converted_place(name)
    if not path.is_file():
        source = file_named(name)
        fetch = "" if is_there(source, folder) else f", after `amdm weights fetch --profile {source.profiles[0]}`"
        raise InputError(f"is absent: run `amdm weights convert`{fetch}", file=path)
    seen = read_lock(folder).get(str(file_named(name).place))
    if seen is not None and _source_digest(path) != seen.sha256:
        raise InputError("was not made from the file that is recorded: run `amdm weights convert`", file=path)
    if not is_as_recorded(folder, converted_place(name)):
        raise InputError("is not what the conversion wrote: run `amdm weights convert`", file=path)
    return path


def convert_all(folder: Path, report: Callable[[str], None]) -> None:
    """Convert every public file that is there and was not converted yet.

    Raises:
        InputError: none is there; one is altered, cannot be read safely, or does not hold what it must.
    """
    there = [name for name in CONVERSIONS if is_there(file_named(name), folder)]
    if not there:
        raise InputError("holds no file to convert: run `amdm weights fetch`", file=folder)
    for name in there:
        source, path = require(file_named(name), folder), folder / converted_place(name)
        if _is_done(name, folder):
            report(f"{name}: converted already, {path}")
            continue
        _convert(name, source, path.parent)
        record(folder, converted_place(name), "", replaces=True)
        report(f"{name}: {path}")


@dataclass(frozen=True)
class Conversion:
    """How one file of the catalogue becomes safetensors.

    model: in whose names and shapes. part: what is taken of the file. write: (source, target folder, that model).
    """

    model: str
    part: str
    write: Callable[[Path, Path, ControlModel], object]


def _ldm_file(source: Path, target: Path, model: ControlModel) -> object:
    return convert_interactdiffusion(source, target, {"unet": model.unet.state_dict()}, model.unet.config)


def _migc_file(source: Path, target: Path, model: ControlModel) -> object:
    return convert_migc_file(source, target, model.control_state_dict())


def _diffusers_file(variant: str, source: Path, target: Path, model: ControlModel) -> object:
    folder = source.parents[1]  # of unet/diffusion_pytorch_model.safetensors
    return convert_diffusers_folder(folder, target, {"unet": model.unet.state_dict()}, variant)


CONVERSIONS = {
    "interactdiffusion": Conversion("interactdiffusion", "unet", _ldm_file),
    "migc": Conversion("migc", "migc", _migc_file),
    "interactdiffusion-v1.2": Conversion("interactdiffusion-v1.2", "unet", partial(_diffusers_file, "")),
    "interactdiffusion-v1.2-fp16": Conversion("interactdiffusion-v1.2", "unet", partial(_diffusers_file, "fp16")),
}
"""By file of the catalogue; the others are read as they come. InteractDiffusion's own VAE and text tower are SD's."""


def _convert(name: str, source: Path, target: Path) -> None:
    from amdm.models.full_size import build_models

    conversion = CONVERSIONS[name]
    conversion.write(source, target, build_models([conversion.model])[conversion.model])


def _is_done(name: str, folder: Path) -> bool:
    """Whether a conversion is there and whole; one that is torn or altered is made again."""
    try:
        return bool(require_converted(name, folder))
    except InputError:
        return False


def _source_digest(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("source_sha256", ""))
    except (SafetensorError, OSError) as error:
        raise InputError("cannot be read as safetensors: run `amdm weights convert`", file=path) from error

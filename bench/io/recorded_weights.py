"""Weights of small networks that measure: fp16 safetensors, their SHA-256 in a file beside them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from amdm.errors import InputError
from amdm.io.files import sha256, usual_permissions


def save_recorded(state: dict[str, torch.Tensor], path: Path) -> None:
    """Write ``path`` and, beside it, its SHA-256; floating point becomes fp16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with usual_permissions(path):
        save_file({k: v.half().contiguous() if v.is_floating_point() else v for k, v in state.items()}, path)
    path.with_suffix(".sha256").write_text(sha256(path) + "\n")


def load_recorded(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors, in float32, and the file's SHA-256.

    Raises:
        InputError: the file is absent, or not the one whose SHA-256 was recorded beside it.
    """
    recorded = path.with_suffix(".sha256")
    if not path.exists() or not recorded.exists():
        raise InputError("the judge's weights or their recorded SHA-256 are absent", file=path)
    digest = sha256(path)
    if digest != recorded.read_text(encoding="utf-8").strip():
        raise InputError("is not the file whose SHA-256 was recorded", file=path)
    return {name: value.float() for name, value in load_file(path).items()}, digest

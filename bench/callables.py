"""Any Python function from layouts to pictures as a generator of the benchmark."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Layout
from bench.generation import Generator, Group, generate
from bench.store import RunStore

UserFunction = Callable[[list[Layout], list[int]], Any]
"""(layouts, seeds) → one picture a layout: PIL images or uint8 RGB arrays (H, W, 3), or one array (B, H, W, 3)."""


def find_function(name: str) -> tuple[UserFunction, str]:
    """The function ``"module:function"``, looked for in the working folder first, and its file's SHA-256.

    The module is imported, which runs it: ``name`` must come from the user, never from a run folder.

    Raises:
        InputError: not of this form, cannot be imported, no such function.
    """
    module_name, _, function_name = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), function_name)):
        raise InputError(f"{name!r} is not of the form module:function", field="generator")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises
        what = f"cannot be imported: {type(error).__name__}: {error}"
        raise InputError(what, file=module_name, field="generator") from error
    function, file = getattr(module, function_name, None), getattr(module, "__file__", None)
    if not callable(function) or file is None:
        raise InputError(f"has no function {function_name!r}", file=file or module_name, field="generator")
    return function, hashlib.sha256(Path(file).read_bytes()).hexdigest()


def generate_with(name: str) -> Callable[[RunStore, Sequence[Group], int], object]:
    """The producer (:data:`bench.job.Producer`) that calls the function ``"module:function"``."""
    return lambda store, work, workers: generate(store, work, make_generator, (name,), workers)


def make_generator(name: str) -> Generator:
    """The function as a generator; what it returns is checked."""
    function, _ = find_function(name)

    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str]) -> SimpleNamespace:
        made = function(list(layouts), [seed_of(key) for key in keys])
        images = [_checked(one) for one in made]
        if len(images) != len(layouts):
            raise InputError(f"returned {len(images)} pictures for {len(layouts)} layouts", field=name)
        return SimpleNamespace(images=images, finite=[True] * len(images), evaluations={})

    return run


def seed_of(key: str) -> int:
    """The seed of one sample: 32 bits of SHA-256 over its key (layout set, layout, seed of the run)."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")


def _checked(picture: Any) -> np.ndarray:
    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB"))
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise InputError(f"returned {array.dtype} of shape {array.shape}; a picture is uint8 RGB (H, W, 3), or PIL's")
    return array

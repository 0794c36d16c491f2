"""PyTorch checkpoints read without executing their pickles.

torch's weights-only interpreter does the reading: it knows tensors, storages and plain containers, and never imports
what a file names. Checkpoints written by training programs hold configuration objects too; on request their classes
are replaced by :class:`StandIn`, which does nothing and keeps nothing.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.serialization import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    get_unsafe_globals_in_checkpoint,
)

from amdm.checkpoints.pickled import PICKLE_LIMIT, check_pickle
from amdm.errors import InputError

_REPLACEABLE = re.compile(
    r"(torch|omegaconf|collections|typing|pytorch_lightning|lightning|lightning_fabric)(\.\w+)+"
    r"|numpy\.(_?core\.multiarray\.(scalar|_reconstruct)|dtype|ndarray)"
    r"|builtins\.(bool|bytes|complex|dict|float|frozenset|int|list|object|str|tuple|type)"
)
"""What may be stood in for, as torch spells globals; all else that torch does not know is refused."""


class StandIn:
    """In the place of a class or function that a file names. Called with anything, it makes an empty object."""

    __slots__ = ()

    def __new__(cls, *_: object) -> StandIn:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def read_checkpoint(path: Path, *, stand_ins: bool = False) -> dict[Any, Any]:
    """The mapping that ``torch.save`` wrote, on the CPU; tensors stay on disk until they are used.

    Args:
        path: a file in torch's zip form (torch ≥ 1.6).
        stand_ins: whether classes of torch, omegaconf, Lightning, collections, typing and plain types that torch's
            weights-only reading refuses become :class:`StandIn`, and NumPy's numbers and arrays too.

    Raises:
        InputError: the file is absent, damaged, of another form, names a global that may not be read, or holds no
            mapping. Nothing that the file names was imported or called.
    """
    _check_archive(path)
    with _only_these({}):
        unknown = _guarded(path, lambda: sorted(get_unsafe_globals_in_checkpoint(str(path))))
    refused = [name for name in unknown if not (stand_ins and _REPLACEABLE.fullmatch(name))]
    if refused:
        raise InputError(f"names {', '.join(refused[:4])}: refused, since reading it could run code", file=path)
    _guarded(path, lambda: check_pickle(_pickle_in(path), unknown))
    with _only_these({name: _stand_in(name) for name in unknown}):
        content = _guarded(path, lambda: torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    if not isinstance(content, dict):
        raise InputError(f"holds a {type(content).__name__} instead of a mapping", file=path)
    return dict(dict.items(content))


def tensors_of(content: Mapping[Any, Any], *, file: Path, field: str | None = None) -> dict[str, torch.Tensor]:
    """``content[field]`` (or ``content``) where it is a flat mapping of names to tensors with data.

    Raises:
        InputError: it is absent or something else.
    """
    state = content if field is None else content.get(field)
    if not isinstance(state, dict):
        raise InputError("is absent, or no mapping of names to tensors", file=file, field=field)
    tensors = dict(dict.items(state))  # a crafted OrderedDict may carry an attribute that hides its own method
    for key, value in tensors.items():
        held = isinstance(key, str) and isinstance(value, torch.Tensor)
        if not held or value.layout != torch.strided or value.device.type != "cpu":
            raise InputError(f"{key!r:.80} is not a plain tensor", file=file, field=field)
    return {key: torch.Tensor.detach(value) for key, value in tensors.items()}  # its own may be hidden, too


def _check_archive(path: Path) -> None:
    """Raise InputError unless ``path`` is torch's zip form: uncompressed, since tensors are mapped from the file."""
    if not path.is_file():
        raise InputError("there is no such file", file=path)
    try:
        archived, records = zipfile.is_zipfile(path), []
        if archived:
            with zipfile.ZipFile(path) as archive:
                records = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError("is damaged: its table of records cannot be read", file=path) from error
    if not archived:
        raise InputError("is cut off, or no checkpoint in PyTorch's zip form (torch.save of torch ≥ 1.6)", file=path)
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise InputError("holds compressed records, which torch.save does not write", file=path)
    # torch's reader does not tell DATA.PKL from data.pkl
    if any(record.file_size > PICKLE_LIMIT for record in records if record.filename.lower().endswith("data.pkl")):
        raise InputError(f"holds a pickle of more than {PICKLE_LIMIT >> 20} MiB", file=path)


def _pickle_in(path: Path) -> bytes:
    """What lies where torch will read data.pkl: other readers may find another record in a crafted archive."""
    with path.open("rb") as file:
        reader: Any = torch._C.PyTorchFileReader(str(path))
        file.seek(reader.get_record_offset("data.pkl"))
        return file.read(PICKLE_LIMIT)


@contextmanager
def _only_these(replaced: Mapping[str, Any]) -> Iterator[None]:
    """Let torch put ``replaced`` in the place of globals, and hide what other code registered as safe.

    torch keeps one table for the process: no other thread should load a checkpoint meanwhile.
    """
    others = get_safe_globals()
    clear_safe_globals()
    add_safe_globals([(value, name) for name, value in replaced.items()])
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(others)


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    """``read()``; whatever a damaged or crafted pickle makes torch raise becomes one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of odd pickles, over several lines
            return read()
    except InputError as error:
        raise error.within(file=path) from None
    except Exception as error:
        lines = str(error).rpartition("WeightsUnpickler error:")[2].strip().splitlines() or [type(error).__name__]
        raise InputError(f"cannot be read as a checkpoint ({lines[0][:160]})", file=path) from error


def _stand_in(name: str) -> Any:
    """What takes the place of a global; mappings stay mappings, since what follows puts items into them."""
    if name == "collections.defaultdict":
        return _plain_dict
    return dict if name.endswith(".AttributeDict") else StandIn


def _plain_dict(*_: object) -> dict[Any, Any]:
    """For ``defaultdict``: what follows in the file puts items into it."""
    return {}

"""Checkpoints are read, and whatever else a pickle asks for is not done."""

from __future__ import annotations

import os
import pickle
import re
import struct
import typing
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from amdm.checkpoints.unpickle import StandIn, read_checkpoint, tensors_of
from amdm.errors import InputError

TENSOR = torch.arange(6.0).reshape(2, 3)


def test_tensors_come_back_and_configuration_objects_do_not(tmp_path: Path) -> None:
    path = tmp_path / "trained.pth"
    layer = torch.nn.Linear(2, 2)  # a class of torch's that weights-only reading refuses
    settings = {"kind": typing.Any, "type": dict, "cache": defaultdict(dict, {"a": {1: 2}}), "layer": layer}
    state = OrderedDict(a=TENSOR, b=torch.nn.Parameter(TENSOR.half()))
    state._metadata = {"version": 1}  # type: ignore[attr-defined]
    torch.save({"model": state, "config_dict": settings}, path)
    content = read_checkpoint(path, stand_ins=True)
    tensors = tensors_of(content, file=path, field="model")
    assert list(tensors) == ["a", "b"]
    assert torch.equal(tensors["a"], TENSOR)
    assert tensors["b"].dtype == torch.float16 and not tensors["b"].requires_grad
    assert content["config_dict"]["cache"] == {"a": {1: 2}}
    assert type(content["config_dict"]["layer"]) is StandIn
    with pytest.raises(InputError, match=r"trained\.pth: names .*torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(path)


def test_omegaconf_need_not_be_installed(tmp_path: Path) -> None:
    path = tmp_path / "trained.pth"
    config = b"comegaconf.dictconfig\nDictConfig\n)\x81}X\x08\x00\x00\x00_contentK\x01sb"
    _write(path, b"\x80\x02}X\x01\x00\x00\x00c" + config + b"s.")
    assert type(read_checkpoint(path, stand_ins=True)["c"]) is StandIn


@pytest.mark.parametrize("stand_ins", [False, True])
@pytest.mark.parametrize("function", [os.system, eval, exec, os.popen, open, getattr, __import__, pickle.loads])
def test_no_function_is_called(tmp_path: Path, function: Callable[..., Any], stand_ins: bool) -> None:
    marker = tmp_path / "executed"
    first = f"touch {marker}" if function in (os.system, os.popen) else f"open({str(marker)!r}, 'w')"
    arguments = (str(marker), "w") if function is open else (first,)
    torch.save({"model": _Calls(function, arguments)}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=rf"bad\.pth: names \S*{function.__name__}: refused"):
        read_checkpoint(tmp_path / "bad.pth", stand_ins=stand_ins)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    [
        b"torch.serialization\nload",
        b"torch.hub\nload_state_dict_from_url",
        b"torch._dynamo.utils\nos.system",
        b"torch\nos.system",
        b"collections\n_sys.modules.os.system",
        b"typing\nsys.modules.os.system",
        b"omegaconf\nos.system",
    ],
)
@pytest.mark.parametrize("call", [b"R", b"\x81"], ids=["reduce", "newobj"])
def test_what_bears_a_replaceable_name_does_nothing(tmp_path: Path, name: bytes, call: bytes) -> None:
    marker = tmp_path / "executed"
    command = f"touch {marker}".encode()
    argument = b"X" + len(command).to_bytes(4, "little") + command + b"\x85"
    _write(tmp_path / "bad.pth", b"\x80\x02}X\x01\x00\x00\x00ac" + name + b"\n" + argument + call + argument + b"bs.")
    content = read_checkpoint(tmp_path / "bad.pth", stand_ins=True)
    assert type(content["a"]) is StandIn
    assert not marker.exists()
    with pytest.raises(InputError, match="refused"):
        read_checkpoint(tmp_path / "bad.pth")


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"], ids=["numpy 1", "numpy 2"])
def test_numpy_numbers_do_not_stop_the_reading(tmp_path: Path, core: bytes) -> None:
    state = b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R" + state + b"b"
    value = b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R"
    scalar = b"c" + core + b".multiarray\nscalar\n" + dtype + value + b"\x86R"
    _write(tmp_path / "a.pth", b"\x80\x02}X\x01\x00\x00\x00a" + scalar + b"s.")
    assert type(read_checkpoint(tmp_path / "a.pth", stand_ins=True)["a"]) is StandIn
    with pytest.raises(InputError, match="refused"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "name", [b"numpy\nload", b"numpy.core.multiarray\nfromfile", b"numpy.lib.npyio\nload", b"lightningx.a\nB"]
)
def test_other_names_near_them_are_refused(tmp_path: Path, name: bytes) -> None:
    _write(tmp_path / "bad.pth", b"\x80\x02}X\x01\x00\x00\x00ac" + name + b"\n)Rs.")
    with pytest.raises(InputError, match="refused"):
        read_checkpoint(tmp_path / "bad.pth", stand_ins=True)


@pytest.mark.parametrize("depth", [3, 40, 100])
def test_tuples_that_hold_each_other_are_not_unfolded(tmp_path: Path, depth: int) -> None:
    chain = b")q\x00" + b"".join(b"h%ch%c\x86q%c" % (k, k, k + 1) for k in range(depth))
    keys = b"\x80\x02}(" + chain + (b"" if depth % 2 else b"K\x01") + b"u."
    _write(tmp_path / "bad.pth", keys)
    if depth == 3:
        assert len(read_checkpoint(tmp_path / "bad.pth")) == 2
        return
    with pytest.raises(InputError, match=r"bad\.pth: holds a tuple of more than 1,000,000 items"):
        read_checkpoint(tmp_path / "bad.pth", stand_ins=True)


def test_wide_tuples_count_too(tmp_path: Path) -> None:
    one = b"(" + b"K\x01" * 2000 + b"tq\x00"
    _write(tmp_path / "bad.pth", b"\x80\x02}(" + one + b"(" + b"h\x00" * 2000 + b"tu.")
    with pytest.raises(InputError, match="holds a tuple of more than"):
        read_checkpoint(tmp_path / "bad.pth")


@pytest.mark.parametrize(("depth", "fits"), [(99, True), (100, False), (200_000, False)])
def test_tuples_within_each_other_are_bounded(tmp_path: Path, depth: int, fits: bool) -> None:
    _write(tmp_path / "bad.pth", b"\x80\x02})" + b"\x85" * depth + b"K\x01s.")
    if fits:
        assert len(read_checkpoint(tmp_path / "bad.pth")) == 1
        return
    with pytest.raises(InputError, match=r"bad\.pth: holds more than 100 tuples within each other"):
        read_checkpoint(tmp_path / "bad.pth")


HEX, TEXT = b"X\x03\x00\x00\x00hex", b"X\x02\x00\x00\x00ab"
ENCODE, LATIN1, BYTEARRAY = b"c_codecs\nencode\n", b"X\x06\x00\x00\x00latin1", b"c__builtin__\nbytearray\n"
REBUILT = b"ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n"
LONG = b"X" + (2**20).to_bytes(4, "little") + b"a" * 2**20 + b"q\x00"


@pytest.mark.parametrize(
    ("calls", "name"),
    [
        (BYTEARRAY + b"J\x00\x00\x00\x10\x85R", "builtins.bytearray"),
        (ENCODE * 3 + TEXT + LATIN1 + b"\x86R" + (HEX + b"\x86R") * 2, "_codecs.encode"),  # doubles each time
        (
            b"](" + ENCODE + LONG + LATIN1 + b"\x86R" + (ENCODE + b"h\x00" + LATIN1 + b"\x86R") * 9 + b"e",
            "_codecs.encode",
        ),
        (b"ctorch\nTensor\n]]a\x85R", "torch.Tensor"),
        (b"ctorch\nTensor\n]]a\x85\x81", "torch.Tensor"),
        (REBUILT + b"NNNN\x86\x86\x86R", "torch._utils._rebuild_device_tensor_from_cpu_tensor"),
        (
            b"ctorch._tensor\n_rebuild_from_type_v2\n" + BYTEARRAY + b"NNN\x87\x86R",
            "torch._tensor._rebuild_from_type_v2",
        ),
        (b"ccollections\nOrderedDict\n]\x85R", "collections.OrderedDict"),
        (b"clightning.fabric.utilities\nAttributeDict\n}\x85R", "lightning.fabric.utilities.AttributeDict"),
        (b"ctorch\nSize\n]\x85R", "torch.Size"),
        (b"](" + b"c__builtin__\nset\n]\x85R" * 101 + b"e", "builtins.set"),
        (b"})R", "what has no name"),
    ],
)
def test_calls_that_could_fill_the_memory_are_refused(tmp_path: Path, calls: bytes, name: str) -> None:
    _write(tmp_path / "bad.pth", b"\x80\x02}K\x01" + calls + b"s.")
    with pytest.raises(
        InputError, match=rf"bad\.pth: calls {re.escape(name)}: refused, since that could fill the memory"
    ):
        read_checkpoint(tmp_path / "bad.pth", stand_ins=True)


def test_what_checkpoints_call_is_called(tmp_path: Path) -> None:
    parameter, sparse = torch.nn.Parameter(TENSOR), torch.arange(3)
    parameter.note = "kept"  # type: ignore[attr-defined]
    many = {
        "a": parameter,
        "size": TENSOR.shape,
        "type": torch.float16,
        "where": torch.device("cpu"),
        "view": sparse[1:],
    }
    more = {"set": {1, 2}, "count": Counter("aab"), "order": OrderedDict(b=b"bytes"), "number": 1j, "nested": [many]}
    torch.save({**many, **more}, tmp_path / "good.pth")
    read = read_checkpoint(tmp_path / "good.pth", stand_ins=True)
    assert torch.equal(read["a"], TENSOR) and torch.equal(read["view"], sparse[1:]) and read["size"] == TENSOR.shape
    assert (read["set"], read["count"], read["order"]) == ({1, 2}, Counter("aab"), {"b": b"bytes"})
    assert (read["type"], read["where"], read["number"]) == (torch.float16, torch.device("cpu"), 1j)


def test_a_large_pickle_is_one_whatever_the_case_of_its_name(tmp_path: Path) -> None:
    text = b"X" + (3 * 2**20).to_bytes(4, "little") + b"a" * (3 * 2**20)
    for name in ("data.pkl", "DATA.PKL"):
        _write(tmp_path / "bad.pth", b"\x80\x02}K\x01" + text + b"s.", name=name)
        with pytest.raises(InputError, match="holds a pickle of more than 2 MiB"):
            read_checkpoint(tmp_path / "bad.pth")


def test_the_pickle_that_torch_finds_is_checked(tmp_path: Path) -> None:
    """Two tables of records, each of a pickle: readers find the one before the end, torch the one at the offset."""
    bomb = b"\x80\x02}K\x01" + BYTEARRAY + b"J\x00\x00\x00\x01\x85Rs."
    text = len(bomb) - 12
    harmless = b"\x80\x02}X" + struct.pack("<I", text) + b"a" * text + b"K\x02s."
    for name, pickled in (("bomb", bomb), ("harmless", harmless)):
        _write(tmp_path / name, pickled)
    assert read_checkpoint(tmp_path / "harmless") == {"a" * text: 2}
    first, second = (tmp_path / "bomb").read_bytes(), (tmp_path / "harmless").read_bytes()
    assert first[-22:] == second[-22:]  # where the table lies
    (tmp_path / "both.pth").write_bytes(first[:-22] + second)
    with zipfile.ZipFile(tmp_path / "both.pth") as archive:
        assert archive.read("archive/data.pkl") == harmless
    with pytest.raises(InputError, match=r"both\.pth: calls builtins\.bytearray: refused"):
        read_checkpoint(tmp_path / "both.pth")


def test_classes_that_other_code_registered_as_safe_are_not_made(tmp_path: Path) -> None:
    torch.save({"a": _Registered()}, tmp_path / "bad.pth")
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([_Registered]):
        assert torch.load(tmp_path / "bad.pth", weights_only=True)["a"].built  # what would happen
        with pytest.raises(InputError, match="_Registered: refused"):
            read_checkpoint(tmp_path / "bad.pth", stand_ins=True)
        assert _Registered in torch.serialization.get_safe_globals()
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize(
    "pickled",
    {
        "protocol 4, global from the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        "INST": b"\x80\x02(X\x02\x00\x00\x00idios\nsystem\n.",
        "OBJ": b"\x80\x02(cos\nsystem\nX\x02\x00\x00\x00ido.",
        "extension registry": b"\x80\x02\x82\x01.",
        "persistent id of another kind": b"\x80\x02X\x04\x00\x00\x00evilX\x01\x00\x00\x000\x86Q.",
        "text persistent id": b"\x80\x02Pstorage\n.",
        "calls an object": b"\x80\x02comegaconf\nA\n)R)R.",
        "items put into an object": b"\x80\x02comegaconf\nA\n)RK\x01K\x02s.",
        "memo far away": b"\x80\x02h\xff.",
        "string longer than the file": b"\x80\x02X\xff\xff\xff\x7fa.",
        "8-byte length": b"\x80\x04\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "huge array": b"\x80\x02c__builtin__\nbytearray\n\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40\x85R.",
        "no end": b"\x80\x02}",
        "nothing": b"",
        "no mapping": b"\x80\x02]K\x01a.",
    }.items(),
    ids=lambda item: item[0],
)
def test_other_pickles_are_one_line_errors(tmp_path: Path, pickled: tuple[str, bytes]) -> None:
    _write(tmp_path / "bad.pth", pickled[1])
    with pytest.raises(InputError) as error:
        read_checkpoint(tmp_path / "bad.pth", stand_ins=True)
    assert str(error.value).startswith(f"{tmp_path}/bad.pth: ") and "\n" not in str(error.value)


def test_a_far_memo_place_takes_no_memory(tmp_path: Path) -> None:
    _write(tmp_path / "odd.pth", b"\x80\x02}r\xff\xff\xff\xff.")
    assert read_checkpoint(tmp_path / "odd.pth") == {}


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_cut_off_files(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    with pytest.raises(InputError, match=r"cut\.pth: is cut off"):
        read_checkpoint(path)


def test_forms_that_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    with pytest.raises(InputError, match="no such file"):
        read_checkpoint(path)
    torch.save({"a": TENSOR}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="no checkpoint in PyTorch's zip form"):
        read_checkpoint(path)
    _write(path, b"\x80\x02}.", zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed"):
        read_checkpoint(path)


def test_an_archive_that_says_it_spans_disks(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"a": torch.ones(2)}, path)
    before, locator, after = path.read_bytes().rpartition(b"PK\x06\x07")
    assert locator
    path.write_bytes(before + locator + b"\1" + after[1:])
    with pytest.raises(InputError, match=r"a\.ckpt: is damaged: its table of records cannot be read"):
        read_checkpoint(path)


def test_a_tensor_longer_than_its_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    torch.save({"a": TENSOR}, good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for record in source.infolist():
            numel_and_rows = source.read(record).replace(b"K\x06tq", b"J\xff\xff\xff\x7ftq")
            longer = numel_and_rows.replace(b"QK\x00K\x02", b"QK\x00J\xff\xff\xff\x7f")
            target.writestr(record.filename, longer)
    assert torch.equal(read_checkpoint(good)["a"], TENSOR)
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(bad)


def test_state_dicts_hold_plain_tensors(tmp_path: Path) -> None:
    file = tmp_path / "some.pth"
    hidden = OrderedDict(a=TENSOR)
    hidden.__dict__.update(keys=StandIn, items=StandIn)
    assert list(tensors_of({"model": hidden}, file=file, field="model")) == ["a"]
    hiding = TENSOR.clone()
    hiding.detach = StandIn  # type: ignore[assignment,method-assign]
    assert torch.equal(tensors_of({"a": hiding}, file=file)["a"], TENSOR)
    for value in ("text", TENSOR.to_sparse(), TENSOR.to("meta"), {"b": TENSOR}):
        with pytest.raises(InputError, match="model: 'a' is not a plain tensor"):
            tensors_of({"model": {"a": value}}, file=file, field="model")
    with pytest.raises(InputError, match="ema: is absent"):
        tensors_of({"model": {}}, file=file, field="ema")


class _Calls:
    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._reduced


class _Registered:
    built = False

    def __getstate__(self) -> dict[str, Any]:
        return {"any": 1}

    def __setstate__(self, _: object) -> None:
        self.built = True


def _write(path: Path, pickled: bytes, compression: int = zipfile.ZIP_STORED, name: str = "data.pkl") -> None:
    """A checkpoint with this data.pkl, laid out as torch.save does."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"archive/{name}", pickled)
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/version", b"3\n")


def test_what_torch_finds_odd_is_not_printed(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    _write(tmp_path / "odd.pth", b"\x80\x00}.")
    assert read_checkpoint(tmp_path / "odd.pth") == {}
    assert not recwarn

"""What a pickle would have torch make, worked out without making it.

torch's weights-only interpreter runs no code of a file. But it calls what it knows with whatever the file says, as
often as the file says, and hashes what the file nests: a few hundred bytes could fill the memory, or end the process.
"""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from amdm.errors import InputError

PICKLE_LIMIT = 2 * 2**20
"""Bytes of data.pkl; tensors lie outside of it. A thousand of them take about 200 kB, and a MiB seconds to read."""

TUPLE_LIMIT = 10**6
"""Items of a tuple, those of tuples in it included; and of all that calls are given together."""

DEPTH_LIMIT = 100
"""Of tuples within each other; a hash of one of 100,000 runs over the end of the stack."""

COPIES_LIMIT = 100
"""Calls that copy a list, which may be as long as the pickle."""

HARMLESS = {
    *(f"torch._utils._rebuild_{what}" for what in ("tensor", "tensor_v2", "tensor_v3", "parameter")),
    *("torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter", "torch.device"),
    *("torch.serialization._get_layout", "builtins.complex"),
}
"""What torch knows and may be called with anything: what it makes is as large as what it is given, or lies on disk."""


class Made(NamedTuple):
    """A value on the interpreter's stack.

    items: of a tuple, with those of tuples in it and itself; else 1. depth: of tuples within each other. letters: of a
    text, or of a tuple of texts alone; of anything else None. name: of a global.
    """

    items: int = 1
    depth: int = 0
    letters: int | None = None
    name: str = ""


@dataclass
class _Calls:
    """Refuses what would grow. unknown: globals that torch does not know, which are stood in for."""

    unknown: Collection[str]
    items: int = 0
    letters: int = 0
    copies: int = 0

    def check(self, function: Made, arguments: Made) -> None:
        """Raise InputError for a call that a file with weights does not need."""
        name = function.name
        self.items += arguments.items
        self.letters += arguments.letters or 0 if name == "_codecs.encode" else 0
        self.copies += name in ("builtins.set", "collections.Counter")
        if name == "collections.OrderedDict" or name.endswith(".AttributeDict"):
            fine = arguments == Made(depth=1)  # ()
        elif name == "_codecs.encode":
            fine = arguments.letters is not None and self.letters <= PICKLE_LIMIT
        elif name == "torch.Size":
            fine = arguments.depth == 2  # of a tuple, and no list
        else:
            fine = name in HARMLESS or name in self.unknown or name in ("builtins.set", "collections.Counter")
        if not fine or self.items > TUPLE_LIMIT or self.copies > COPIES_LIMIT:
            raise InputError(f"calls {name or 'what has no name'}: refused, since that could fill the memory")


def check_pickle(pickled: bytes, unknown: Collection[str]) -> None:
    """Raise InputError for a pickle that could fill the memory or the stack.

    Args:
        unknown: names of globals that torch's interpreter does not know, as it spells them.

    Raises:
        IndexError, KeyError, ValueError: it is no pickle.
    """
    stack, marks, memo, calls = list[Made](), list[int](), dict[object, Made](), _Calls(unknown)
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        else:
            before = opcode.stack_before
            marked = pickletools.markobject in before
            start = marks.pop() if marked else len(stack) - len(before)
            taken = stack[start:]
            if opcode.name in ("REDUCE", "NEWOBJ"):
                calls.check(*taken)
            made = _made(opcode.name, argument, taken)
            del stack[start - (before.index(pickletools.markobject) if marked else 0) :]
            stack += [made] * len(opcode.stack_after)


def _made(opcode: str, argument: object, taken: Sequence[Made]) -> Made:
    """What an instruction leaves. Raises InputError for a tuple that is too large, or too deep."""
    if opcode == "GLOBAL":
        return Made(name=_spelled(*str(argument).split(" ", 1)))
    if isinstance(argument, str | bytes):
        return Made(letters=len(argument))
    if not opcode.startswith(("TUPLE", "EMPTY_TUPLE")):
        return Made()
    letters = [one.letters for one in taken if one.letters is not None]
    texts = sum(letters) if taken and len(letters) == len(taken) else None
    made = Made(1 + sum(one.items for one in taken), 1 + max((one.depth for one in taken), default=0), texts)
    if made.items > TUPLE_LIMIT:
        raise InputError(f"holds a tuple of more than {TUPLE_LIMIT:,} items")
    if made.depth > DEPTH_LIMIT:
        raise InputError(f"holds more than {DEPTH_LIMIT} tuples within each other")
    return made


def _spelled(module: str, name: str = "") -> str:
    """As torch spells a global, which Python 2 may have named."""
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[module, name]
    elif module in IMPORT_MAPPING:
        module = IMPORT_MAPPING[module]
    return f"{module}.{name}"

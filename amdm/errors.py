"""The one exception that bad input raises, and how the command lines show it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

MAX_FAULTS = 20
"""Of one input that are named before reading it stops."""

LONGEST_LINE = 400
"""Characters of an error."""

LONGEST_LIST = 20
"""Names that a message still lists one by one."""


class InputError(ValueError):
    """Something the user gave (file, option, layout, checkpoint) cannot be used.

    Args:
        what: what is wrong, in a few words.
        file: the file that holds it, if any.
        field: the place inside the file, or the argument's name, if any.

    ``str(error)`` is ``file: field: what`` without the parts that are absent, on one line.
    The command lines print it behind ``error: `` and exit with status 2.
    """

    def __init__(self, what: str, *, file: object = None, field: str | None = None) -> None:
        self.what, self.file, self.field = what, file, field
        parts = [str(part) for part in (file, field) if part not in (None, "")]
        super().__init__(_one_line(": ".join([*parts, what])))

    def within(self, *, file: object = None, field: str | None = None) -> InputError:
        """The same error, seen from the file or the enclosing field that it came from."""
        inner = ".".join(part for part in (field, self.field) if part)
        return InputError(self.what, file=file or self.file, field=inner or None)


class InputErrors(InputError):
    """Several faults of one input.

    Args:
        faults: at least one. As text they are the first, and the places of the others, which name a file where it is
            another one.
    """

    def __init__(self, faults: Sequence[InputError]) -> None:
        self.faults = tuple(faults)
        first, *others = self.faults
        places = [
            ": ".join(str(part) for part in (one.file if one.file != first.file else "", one.field or one.what) if part)
            for one in others
        ]
        also = ", ".join(dict.fromkeys(places))
        super().__init__(first.what + (f"; also {also}" if also else ""), file=first.file, field=first.field)

    def __reduce__(self) -> tuple[type[InputErrors], tuple[Sequence[InputError]]]:
        return InputErrors, (self.faults,)

    def within(self, *, file: object = None, field: str | None = None) -> InputError:
        """Each of them, as of :meth:`InputError.within`."""
        return InputErrors([one.within(file=file, field=field) for one in self.faults])


class Faults:
    """Gathers what is wrong with an input, so that one reading names all of it, up to :data:`MAX_FAULTS`."""

    def __init__(self) -> None:
        self._found: list[InputError] = []

    @contextmanager
    def at(self, field: str | None = None) -> Iterator[None]:
        """Keep an InputError that is raised inside, as one of ``field``, and go on behind it."""
        try:
            yield
        except InputError as error:
            self._found += faults_of(error.within(field=field))
        if len(self._found) >= MAX_FAULTS:
            self.check()

    def check(self) -> None:
        """Raise what was kept, if anything: InputError, or InputErrors of several."""
        if self._found:
            raise self._found[0] if len(self._found) == 1 else InputErrors(self._found[:MAX_FAULTS])


@contextmanager
def in_file(file: object) -> Iterator[None]:
    """An InputError that is raised inside names the file (:meth:`InputError.within`)."""
    try:
        yield
    except InputError as error:
        raise error.within(file=file) from None


def faults_of(error: InputError) -> tuple[InputError, ...]:
    """The faults one by one."""
    return error.faults if isinstance(error, InputErrors) else (error,)


def unknown(
    kind: str,
    name: object,
    known: Collection[str],
    *,
    see: str = "",
    more: str = "",
    field: str | None = None,
    file: object = None,
) -> InputError:
    """The error about a name that is none of ``known``: the near match, and all there are.

    Args:
        kind: what it should be the name of, for example "layout set".
        see: where to see them all, for what :func:`instead` does not list.
        more: what follows behind that.
    """
    return InputError(f"unknown {kind} {str(name)[:80]!r}; {instead(name, known, see)}{more}", field=field, file=file)


def instead(name: object, known: Collection[str], see: str = "") -> str:
    """What to write for an unknown name: the near match, if any, and all there are; of more than
    :data:`LONGEST_LIST`, how many, and where to ``see`` them."""
    spelled = {one.casefold(): one for one in reversed(list(known))}
    close = get_close_matches(str(name)[:200].casefold(), spelled, 1)
    hint = f"did you mean {spelled[close[0]]}? " if close else ""
    listed = list(known)
    if not listed:
        return "there is none"
    if len(listed) <= LONGEST_LIST:
        return f"{hint}there are: {', '.join(listed)}"
    where = see or f"among them {', '.join(listed[:LONGEST_LIST])}"
    return f"{hint}there are {len(listed)}: {where}"


class InputWarning(UserWarning):
    """Something the user gave is read, but not all of it as it was written. The command lines print one line of it."""


def printable(text: str, keep: str = "") -> str:
    """With what a terminal would obey (escapes, changes of direction) written out, but for the characters ``keep``."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def _one_line(text: str) -> str:
    """Printable, on one line, and short: error texts quote files written by strangers."""
    shown = printable(text)
    return shown if len(shown) <= LONGEST_LINE else shown[: LONGEST_LINE - 1] + "…"

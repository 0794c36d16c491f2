"""The one exception that bad input raises, and how the command lines show it."""

from __future__ import annotations


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


def printable(text: str, keep: str = "") -> str:
    """With what a terminal would obey (escapes, changes of direction) written out, but for the characters ``keep``."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def _one_line(text: str, limit: int = 400) -> str:
    """Printable, on one line, and short: error texts quote files written by strangers."""
    shown = printable(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"

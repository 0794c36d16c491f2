"""How both command lines end: one line and a status."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer

from amdm.errors import InputError

USAGE_ERROR: Any = typer.BadParameter.__base__
"""click's UsageError; newer versions of typer carry a click of their own."""


def run_app(app: typer.Typer, failures: tuple[type[Exception], ...] = (), hint: str = "") -> NoReturn:
    """Run a command line: status 2 for bad input, 130 for Ctrl-C, 1 for what failed on the way.

    failures: besides OSError. hint: what follows behind the line of a failure.
    """
    expected: tuple[type[Exception], ...] = (OSError, *failures)
    try:
        status = app(standalone_mode=False)
    except InputError as error:
        _leave(f"error: {error}", 2)
    except USAGE_ERROR as error:
        text = error.format_message().strip()
        _leave(f"error: {InputError(text)}" if len(text.splitlines()) == 1 else text, 2)  # else it is the help
    except expected as error:
        _leave(f"error: {InputError(str(error))}{hint}", 1)
    except KeyboardInterrupt:
        _leave("stopped", 130)
    sys.exit(status or 0)


def _leave(message: str, status: int) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(status)

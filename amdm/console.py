"""How both command lines end: one line and a status."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any, NoReturn

import typer

from amdm.errors import InputError, InputWarning

USAGE_ERROR: Any = typer.BadParameter.__base__
"""click's UsageError; newer versions of typer carry a click of their own."""


def make_app(about: str | None) -> typer.Typer:
    """A command line with ``--version``, ``-h`` (of subcommands too) and completion for the user's shell."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help=None if about is None else about.replace("`", ""),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common_options)
    return app


def _common_options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="print the version and exit", callback=lambda asked: _show_version(asked), is_eager=True
        ),
    ] = False,
) -> None: ...


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"amdm {version('amdm')}")
        except PackageNotFoundError:
            raise InputError("is known of an installed package only: run `pip install`", field="version") from None
        raise typer.Exit


def run_app(app: typer.Typer, name: str, failures: tuple[type[Exception], ...] = (), hint: str = "") -> NoReturn:
    """Run a command line: status 2 for bad input, 130 for Ctrl-C, 1 for what failed on the way.

    name: of the command, however it was started: a shell completes that one. failures: besides OSError.
    hint: what follows behind the line of a failure.
    """
    expected: tuple[type[Exception], ...] = (OSError, *failures)
    try:
        with warnings.catch_warnings():
            _warn_in_one_line()
            status = app(prog_name=name, standalone_mode=False)
    except InputError as error:
        _leave(f"error: {error}", 2)
    except USAGE_ERROR as error:
        text = error.format_message().strip()
        _leave(f"error: {InputError(text)}" if len(text.splitlines()) == 1 else text, 2)  # else it is the help
    except expected as error:
        _leave(f"error: {InputError(str(error) or type(error).__name__)}{hint}", 1)
    except KeyboardInterrupt:
        _leave("stopped", 130)
    sys.exit(status or 0)


def _warn_in_one_line() -> None:
    """Python's own form names a line of this program, and quotes it on a second line."""
    shown = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:
        if issubclass(category, InputWarning):
            typer.echo(f"warning: {message}", err=True)
        else:
            shown(message, category, *more, **named)

    warnings.simplefilter("always", InputWarning)
    warnings.showwarning = show  # type: ignore[assignment]


def _leave(message: str, status: int) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(status)

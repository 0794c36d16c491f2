"""Trackers by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from amdm.errors import InputError
from bench.registered import registered_module
from bench.track.results import Results

TRACKERS = {
    "tensorboard": "bench.track.tensorboard",
    "trackio": "bench.track.runs_api",
    "wandb": "bench.track.runs_api",
}
"""Each is the name of the package that is imported, and of the extra that brings it; and the module that calls it."""


def check_tracker(name: str) -> None:
    """Raise InputError where there is no such tracker, or its package is not installed."""
    registered_module("tracker", name, TRACKERS, "track")
    if find_spec(name) is None:
        raise InputError(f"{name} is not installed: pip install 'amdm[{name}]'", field="track")


def track(name: str, results: Results) -> str:
    """Hand the results to a tracker; returns where they are, for readers. What its package prints goes to stderr.

    Raises:
        InputError: see :func:`check_tracker`. Whatever the tracker raises.
    """
    check_tracker(name)
    log: Callable[[Any, Results], str] = registered_module("tracker", name, TRACKERS, "track").log
    with redirect_stdout(sys.stderr):  # stdout is the command's own, with --json one document
        return log(import_module(name), results)

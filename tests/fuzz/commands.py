"""Hostile input to whole commands: files and options, and what stands in the one line of the error."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from tests.amdm.io.test_images import png
from tests.fuzz.guard import LONGEST_LINE, SECONDS
from tests.fuzz.target import BOXES

ROOT = Path(__file__).resolve().parents[2]
BOMB = png(100_000, 100_000, b"")


def _set(**change: object) -> bytes:
    return json.dumps({"\x1b[2J../..": {"caption": "c", "segment": BOXES, **change}}).encode()


CASES: tuple[tuple[str, list[str], dict[str, bytes], str], ...] = (
    ("bench", ["layouts", "validate", "bad.json"], {"bad.json": b"[" * 1_000_000}, "bad.json: not JSON"),
    ("bench", ["layouts", "validate", "bad.json"], {"bad.json": _set(segment=[])}, "instances"),
    ("bench", ["layouts", "validate", "bad.json"], {"bad.json": _set(caption="\ud800")}, "surrogate"),
    (
        "bench",
        ["layouts", "show", "bad.txt"],
        {"bad.txt": b"x\n", "bad_anno.yaml": b"x: !!python/object/apply:os.system [touch pwned]"},
        "is a tag",
    ),
    ("bench", ["layouts", "validate", "x" * 5000], {}, "unknown layout set"),
    ("bench", ["verify", "run"], {"run/run.json": b'{"profile": "../../etc/passwd\\u0000\\u202e"}'}, "run.json"),
    ("bench", ["merge", "out", "run"], {"run/run.json": b"\xff\xfe"}, "run.json: cannot be read as JSON"),
    ("bench", ["migc", "--profile", "mini", "--seeds", "__import__('os').system('touch pwned')"], {}, "seeds: "),
    (
        "bench",
        ["migc", "--profile", "mini", "--set", "aggregation.s=!!python/object/apply:os.system [touch pwned]"],
        {},
        "aggregation.s",
    ),
    (
        "amdm",
        ["generate", "--preset", "migc", "--layout", "l.json", "--style", "bomb.png", "--out", "o.png"],
        {"l.json": json.dumps({"caption": "c", "segment": BOXES}).encode(), "bomb.png": BOMB},
        "bomb.png: has a side",
    ),
)
"""(package, arguments, files, what the error says)."""


def run_command(case: tuple[str, list[str], dict[str, bytes], str], folder: Path) -> str:
    """Run a case in a folder of its own; returns its one line.

    Raises:
        AssertionError: another status than 2, more than one line, a file that was not there, or too slow.
    """
    package, arguments, given, message = case
    for name, content in given.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    before = _seconds_of_children()
    found = subprocess.run(
        [sys.executable, "-m", package, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30 * SECONDS,
    )
    assert _seconds_of_children() - before < SECONDS
    error = found.stderr.removesuffix("\n")
    assert found.returncode == 2, found.stderr
    assert error.startswith("error: ") and error.isprintable() and len(error) < LONGEST_LINE, error
    assert message in error, error
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == set(given), there
    return error


def _seconds_of_children() -> float:
    """Processor time: on a busy machine the clock says little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

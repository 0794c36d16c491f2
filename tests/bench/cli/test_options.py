"""Numbers of processes, and files that options name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from amdm.errors import InputError
from bench.cli.options import write_file
from bench.job.plan import Plan
from bench.job.spec import Job
from bench.workers.processes import worker_count


@pytest.mark.parametrize(
    ("asked", "cores", "cuda", "heavy", "expected"),
    [
        (None, 2, False, False, 2),
        (None, 64, False, False, 4),
        (None, 64, True, False, 1),
        (None, 64, False, True, 1),  # several full-size models at once fill the memory
        (3, 2, True, True, 3),
    ],
)
def test_processes_are_as_many_as_fit(
    asked: int | None, cores: int, cuda: bool, heavy: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert worker_count(asked, heavy) == expected


@pytest.mark.parametrize("asked", [0, -1, True, 2.0, "2"])
def test_what_is_no_number_of_processes_is_refused(asked: Any) -> None:
    with pytest.raises(InputError, match=r"workers: .* is not an integer of 1 or more"):
        worker_count(asked)


@pytest.mark.parametrize(
    ("profile", "methods", "detector", "heavy"),
    [
        ("mini", ("migc",), None, False),
        ("mini", ("migc",), "grounded-sam", True),
        ("paper", ("migc",), "mini", True),
    ],
)
def test_full_size_networks_are_heavy(
    profile: str, methods: tuple[str, ...], detector: str | None, heavy: bool
) -> None:
    assert Plan.resolve(Job(profile, "mini", methods, (0,), 4, detector=detector)).is_heavy is heavy


def test_links_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    """As /dev/stdout is a link, to a pipe perhaps."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(tmp_path / "new")
    write_file(link, b"x")
    assert link.is_symlink() and (tmp_path / "new").read_bytes() == b"x"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"y")
    assert pipe.is_fifo() and os.read(reader, 9) == b"y"
    os.close(reader)
    write_file(tmp_path / "folder" / "file", b"z")
    assert (tmp_path / "folder" / "file").read_bytes() == b"z"

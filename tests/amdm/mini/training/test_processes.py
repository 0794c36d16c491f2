"""Processes of a training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
TRAINING = """
import os, signal, sys, time
from pathlib import Path
from amdm.mini.training.processes import run_processes
from amdm.mini.training.trainer import Job

def train(rank, job):
    (job.folder / f"{rank}.pid").write_text(str(os.getpid()))
    time.sleep(600)

def fail(rank, job):
    if rank == 0:
        raise OSError(28, "No space left on device", "base.pt")
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    try:
        run_processes(globals()[sys.argv[1]], Job(Path(sys.argv[2]), steps=1, seed=0, batch=1, rate=1.0, world=2))
    except OSError as error:
        sys.exit(repr(error))
"""


def start(folder: Path, what: str, stderr: int | None = None) -> subprocess.Popen[str]:
    (folder / "training.py").write_text(TRAINING)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(folder / "training.py"), what, str(folder)]
    return subprocess.Popen(command, env=environment, text=True, stderr=stderr)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_training_that_is_ended_leaves_no_process_that_trains_on(tmp_path: Path, how: signal.Signals) -> None:
    pids = [tmp_path / "0.pid", tmp_path / "1.pid"]
    command = start(tmp_path, "train")
    try:
        await_that(lambda: all(path.exists() and path.read_text() for path in pids))
        command.send_signal(how)
        command.wait(600)
        await_that(lambda: not any(alive(int(path.read_text())) for path in pids))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0.pid", "1.pid", "training.py"]
    finally:
        command.kill()
        for path in pids:
            if path.exists() and alive(int(path.read_text())):
                os.kill(int(path.read_text()), signal.SIGKILL)


def test_what_stops_one_process_is_what_the_training_raises(tmp_path: Path) -> None:
    odd = tmp_path / "a#b?c"  # no part of a URL
    odd.mkdir()
    command = start(odd, "fail", stderr=subprocess.PIPE)
    said = command.communicate(timeout=600)[1]
    assert command.returncode == 1
    assert said.strip().splitlines()[-1] == "OSError(28, 'No space left on device')"


def await_that(reached: Callable[[], bool], seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False

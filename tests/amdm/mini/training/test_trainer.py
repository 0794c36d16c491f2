"""Processes of a training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
TRAINING = """
import os, sys, time
from pathlib import Path
from amdm.mini.training.trainer import Job, run_processes

def train(rank, job):
    (job.folder / f"{rank}.pid").write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    run_processes(train, Job(Path(sys.argv[1]), steps=1, seed=0, batch=1, rate=1.0, world=2))
"""


def test_a_killed_training_leaves_no_process_that_trains_on(tmp_path: Path) -> None:
    script, pids = tmp_path / "training.py", [tmp_path / "0.pid", tmp_path / "1.pid"]
    script.write_text(TRAINING)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    try:
        await_that(lambda: all(path.exists() and path.read_text() for path in pids))
        command.send_signal(signal.SIGKILL)
        command.wait()
        await_that(lambda: not any(alive(int(path.read_text())) for path in pids))
    finally:
        command.kill()
        for path in pids:
            if path.exists() and alive(int(path.read_text())):
                os.kill(int(path.read_text()), signal.SIGKILL)


def await_that(reached: Callable[[], bool], seconds: float = 300.0) -> None:
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

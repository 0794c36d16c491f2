"""The processes of a training on CPU cores, which share gradients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from amdm.child_process import end_with_parent
from amdm.errors import InputError
from amdm.mini.training.trainer import Job

PATIENCE = timedelta(days=7)
"""Of a process that waits for its fellows: some stages are one process's work, on a slow machine for hours. One that
has ended is noticed at once."""


def run_processes(target: Callable[[int, Job], None], job: Job) -> None:
    """Run ``target(rank, job)`` in ``job.world`` processes that share gradients.

    Two single-thread processes train faster on two cores than one process with two threads.

    Raises:
        OSError, InputError: what one of the processes raised; ChildProcessError of one that was killed.
    """
    if job.world == 1:
        target(0, job)
        return
    failures = torch.multiprocessing.get_context("spawn").SimpleQueue()
    with TemporaryDirectory(prefix="amdm-training-") as own:
        arguments = (target, job, str(Path(own) / "rendezvous"), failures)
        try:
            # A daemon is ended where this process stops without a kill, as it does when it alone is interrupted.
            torch.multiprocessing.spawn(_process, arguments, job.world, daemon=True)
        except (ProcessRaisedException, ProcessExitedException) as error:
            if not failures.empty():
                raise failures.get() from None
            if isinstance(error, ProcessExitedException):
                raise ChildProcessError(f"of the training's processes, {error}") from error
            raise


def _process(rank: int, target: Callable[[int, Job], None], job: Job, rendezvous: str, failures: Any) -> None:
    end_with_parent()
    torch.set_num_threads(1)
    try:
        store = dist.FileStore(rendezvous, job.world)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=job.world, timeout=PATIENCE)
        target(rank, job)
        dist.barrier()
        dist.destroy_process_group()
    except (OSError, InputError) as error:
        failures.put(error)
        raise

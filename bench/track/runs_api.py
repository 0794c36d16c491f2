"""Weights & Biases, and trackio, which has its interface."""

from __future__ import annotations

from typing import Any

from bench.track.results import Results

PROJECT = "amdm-bench"


def log(package: Any, results: Results) -> str:
    """A run of the project ``amdm-bench``, or more of the one that was logged before.

    Where it goes (a server, this machine, nowhere) is the package's own setting: WANDB_MODE, TRACKIO_SPACE_ID.
    """
    name = package.__name__
    same = {"id": results.key} if name == "wandb" else {"auto_log_gpu": False, "auto_log_cpu": False}
    package.init(project=PROJECT, name=results.name, config=results.config, resume="allow", **same)
    try:
        # Each under a name of its own: trackio leaves lists of pictures out.
        failures = {
            f"failures/{k:02d}": package.Image(one.image, caption=one.caption) for k, one in enumerate(results.pictures)
        }
        package.log({**results.metrics, "table 1": package.Table(dataframe=results.table), **failures})
    finally:
        package.finish()
    return f"{name}: {results.name} of {PROJECT}"

"""TensorBoard: event files beside the report."""

from __future__ import annotations

import json
from typing import Any

from bench.report.text import as_markdown
from bench.track.results import Results


def log(_: Any, results: Results) -> str:
    """Write event files into ``tensorboard`` in the report's folder, in place of those of before."""
    from torch.utils.tensorboard import SummaryWriter

    folder = results.folder / "tensorboard"
    for earlier in folder.glob("events.out.tfevents.*"):
        earlier.unlink()
    with SummaryWriter(str(folder)) as writer:
        for name, value in results.metrics.items():
            writer.add_scalar(name, value)
        writer.add_text("table 1", as_markdown(results.table))
        writer.add_text("config", f"```\n{json.dumps(results.config, indent=2)}\n```")
        for k, one in enumerate(results.pictures):
            writer.add_image(f"failures/{k:02d} {one.caption}", one.image, dataformats="HWC")
    return f"tensorboard --logdir {folder}"

"""What every training of the mini world shares: averaged weights, learning-rate curve, checkpoints, loss log."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from amdm.errors import InputError
from amdm.io.files import write_atomic

LAST_RATE = 0.02


def cosine_rate(step: int, steps: int, warmup: int = 200) -> float:
    """Factor of the learning rate at ``step``: linear warm-up, then half a cosine down to :data:`LAST_RATE`."""
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def low_precision(device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 for matrix products, float32 for what is summed: 4 times faster where the CPU has AMX.

    A CPU without any bfloat16 would emulate it, slower than float32.
    """
    able = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


class AveragedWeights:
    """Exponential moving average of parameters, with a horizon that grows with the step."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], decay: float = 0.9995) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.decay = decay
        self.average = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average toward the parameters after optimiser step ``step``."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], weight)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the parameters; call again to go back."""
        for average, parameter in zip(self.average, self.parameters, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)


class LossLog:
    """A CSV file that grows by one row every ``every`` steps with the means since the last row."""

    def __init__(self, path: Path, every: int = 50) -> None:
        self.path, self.every = path, every
        self._sums: dict[str, list[float]] = {}
        self._started = time.perf_counter()

    def add(self, step: int, values: dict[str, float]) -> None:
        """Take the values of step ``step`` (counted from 1); NaN values are left out of the means."""
        for name, value in values.items():
            if not math.isnan(value):
                self._sums.setdefault(name, []).append(value)
        if step % self.every:
            return
        row: dict[str, object] = {"step": step, "seconds": round(time.perf_counter() - self._started, 1)}
        row |= {name: round(sum(found) / len(found), 6) for name, found in self._sums.items()}
        rows: list[dict[str, object]] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                # A training that was killed goes on from its checkpoint, before the last rows.
                rows = [one for one in csv.DictReader(file) if int(one["step"]) < step]
        # A row's names differ with what was trained since the last one, and a file has one header.
        names = list(dict.fromkeys(name for one in (*rows, row) for name in one))
        text = StringIO()
        writer = csv.DictWriter(text, fieldnames=names)
        writer.writeheader()
        writer.writerows([*rows, row])
        write_atomic(self.path, text.getvalue().encode())
        self._sums.clear()


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write whole or not at all: a kill at any moment leaves the previous checkpoint."""
    content = BytesIO()
    torch.save(state, content)
    write_atomic(path, content.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state saved last, or None where there is none. Tensors and plain containers only.

    Raises:
        InputError: it cannot be read.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch's unpickler lets through what it stumbles over
        raise InputError("cannot be read as a checkpoint", file=path) from error
    return state


def stage_checkpoint(folder: Path, stage: str) -> dict[str, Any]:
    """The state that a stage left in a training's folder.

    Raises:
        InputError: the stage was not trained.
    """
    path = folder / f"{stage}.pt"
    state = load_checkpoint(path)
    if state is None:
        raise InputError("is absent: the training in this folder has not come so far", file=path)
    return state


@contextmanager
def float32_attention() -> Iterator[None]:
    """Attention in float32 inside low precision: PyTorch's bfloat16 attention is half of a training step on a CPU."""
    original = functional.scaled_dot_product_attention

    def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, **options: Any) -> Any:
        mask = attn_mask if attn_mask is None or attn_mask.dtype == torch.bool else attn_mask.float()
        with torch.autocast(query.device.type, enabled=False):
            result = original(query.float(), key.float(), value.float(), attn_mask=mask, **options)
        return result.to(query.dtype)

    functional.scaled_dot_product_attention = attention  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original

"""What the options of a job say, and the job that follows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.options import integers, names, shard_of, use_weights_dir

if TYPE_CHECKING:
    from bench.job import Job

DEFAULT_METHODS = ("interactdiffusion", "interactdiffusion+migc", "migc")
CONTROL_METHODS = (
    *("interactdiffusion", "interactdiffusion+migc", "migc", "interactdiffusion-category"),
    *("interactdiffusion+migc@paper", "interactdiffusion+itself", "switch", "slerp"),
)
CONTROL_LIMIT = 200


@dataclass(frozen=True)
class Choice:
    """None takes the profile's default."""

    profile: str
    limit: int | None
    seeds: str
    methods: str | None
    batch: int | None
    layouts: str | None
    change: list[str] | None
    device: str
    dtype: str
    weights_dir: Path | None
    shard: str | None = None

    def job(self, profile: str, default_methods: tuple[str, ...]) -> Job:
        """The job on a profile that was chosen, every field checked."""
        from amdm.loading import Loading
        from bench.job import DEFAULT_BATCH, DEFAULT_LAYOUTS, Job

        use_weights_dir(self.weights_dir)
        loading = Loading.parse(profile, None, self.device, self.dtype)
        return Job(
            profile=profile,
            layouts=self.layouts or DEFAULT_LAYOUTS[profile],
            methods=default_methods if self.methods is None else names(self.methods),
            seeds=integers(self.seeds),
            batch=DEFAULT_BATCH[profile] if self.batch is None else self.batch,
            limit=self.limit,
            overrides=tuple(self.change or ()),
            device=loading.device,
            dtype=str(loading.dtype).removeprefix("torch."),
            shard=shard_of(self.shard),
        )

"""Methods of a profile as a generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from amdm.layout import Layout
from bench.generators.function import as_generator, load_callable
from bench.generators.generator import Generator
from bench.generators.pull_back import with_pull_back
from bench.generators.renderer import true_renderings
from bench.job.batches import CEILING
from bench.workers.processes import use_one_thread

if TYPE_CHECKING:
    from bench.job.spec import Job


def make_generator(job: Job) -> Generator:
    """The methods of a job, and true renderings under the name "ceiling"."""
    from amdm.methods import load_methods

    if job.profile == "mini":
        use_one_thread()
    if job.generator is not None:
        own = as_generator(load_callable(job.generator, job.arguments, job.device), job.generator)
        by_name: dict[str, Callable[..., Any]] = {name: partial(own, name) for name in job.methods}
    else:
        loaded = load_methods(job.profile, job.methods, job.overrides, job.loading())
        by_name = {name: partial(with_pull_back, method) for name, method in loaded.items()}

    return with_ceiling(by_name)


def with_ceiling(by_name: Mapping[str, Callable[..., Any]]) -> Generator:
    """A generator of functions (layouts, keys, **conditions) → pictures by method, and true renderings."""

    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str], **conditions: Any) -> Any:
        draw = true_renderings if method == CEILING else by_name[method]
        return draw(layouts, keys, **conditions)

    return run

"""Measure layout-conditioned generators of images on COCO-MIG's protocol, with uncertainty.

from bench import evaluate
print(evaluate("migc", layouts="mini", limit=25))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import Result, evaluate, read_result, score
    from bench.benchmark import run_benchmark
    from bench.cocomig.metrics import metric_table
    from bench.job.plan import Plan
    from bench.job.spec import Job
    from bench.layouts.named import load_layouts
    from bench.report.advice import Advice
    from bench.studies.advise import advise

_HOME = {
    "evaluate": "bench.api",
    "score": "bench.api",
    "read_result": "bench.api",
    "Result": "bench.api",
    "run_benchmark": "bench.benchmark",
    "Job": "bench.job.spec",
    "Plan": "bench.job.plan",
    "advise": "bench.studies.advise",
    "Advice": "bench.report.advice",
    "load_layouts": "bench.layouts.named",
    "metric_table": "bench.cocomig.metrics",
}
__all__ = [
    "Advice",
    "Job",
    "Plan",
    "Result",
    "advise",
    "evaluate",
    "load_layouts",
    "metric_table",
    "read_result",
    "run_benchmark",
    "score",
]


def __getattr__(name: str) -> Any:  # lazy: the command lines start without torch
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

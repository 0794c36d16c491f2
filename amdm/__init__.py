"""Aggregation of Multi Diffusion Models: combine layout-conditioned diffusion models while sampling, without training.

from amdm import AMDMPipeline, Instance, Layout
pipe = AMDMPipeline.from_pretrained("mini", "interactdiffusion+migc")
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amdm.aggregation import AggregationConfig, official, paper
    from amdm.errors import InputError
    from amdm.layout import Instance, Interaction, Layout, read_layout
    from amdm.models.control import ControlModel
    from amdm.pipeline import AMDMPipeline, AMDMPipelineOutput
    from amdm.sampler import BoundModel, aggregate_sample

_HOME = {
    "AMDMPipeline": "amdm.pipeline",
    "AMDMPipelineOutput": "amdm.pipeline",
    "AggregationConfig": "amdm.aggregation",
    "BoundModel": "amdm.sampler",
    "ControlModel": "amdm.models.control",
    "InputError": "amdm.errors",
    "Instance": "amdm.layout",
    "Interaction": "amdm.layout",
    "Layout": "amdm.layout",
    "official": "amdm.aggregation",
    "paper": "amdm.aggregation",
    "read_layout": "amdm.layout",
    "aggregate_sample": "amdm.sampler",
}
__all__ = [
    "AMDMPipeline",
    "AMDMPipelineOutput",
    "AggregationConfig",
    "BoundModel",
    "ControlModel",
    "InputError",
    "Instance",
    "Interaction",
    "Layout",
    "aggregate_sample",
    "official",
    "paper",
    "read_layout",
]


def __getattr__(name: str) -> Any:  # lazy: the command lines start without torch
    if name in _HOME:
        return getattr(_import_module(_HOME[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("amdm")
    raise AttributeError(f"module 'amdm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

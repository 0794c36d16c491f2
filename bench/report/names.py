"""What readers call a method: the models' own names, an aggregate as the paper writes it."""

from __future__ import annotations

from bench.job.batches import CEILING

MODELS = {
    "stable_diffusion": "Stable Diffusion",
    "interactdiffusion": "InteractDiffusion",
    "interactdiffusion-v1.2": "InteractDiffusion v1.2",
    "gligen": "GLIGEN",
    "migc": "MIGC",
    "ip-adapter": "IP-Adapter",
    CEILING: "Ceiling",
}


def display_name(method: str) -> str:
    """The target, the auxiliaries in brackets, and the variant, if the preset is one; other names as they are.

    Of several runs (``run: method``) the run's name stays in front.

    >>> display_name("interactdiffusion+migc@paper")
    'InteractDiffusion(+MIGC), paper'
    >>> display_name("b: my_function")
    'b: my_function'
    """
    run, colon, name = method.rpartition(": ")
    models, _, variant = name.partition("@")
    target, *auxiliaries = models.split("+")
    if target not in MODELS:
        return method
    added = "".join(f"+{MODELS.get(one, one)}" for one in auxiliaries)
    return f"{run}{colon}{MODELS[target]}{f'({added})' if added else ''}{f', {variant}' if variant else ''}"

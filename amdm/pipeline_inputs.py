"""What a pipeline call is given, as one layout and one key a sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from amdm.errors import InputError
from amdm.layout import Interaction, Layout


def sample_layouts(
    prompt: str | Sequence[str] | None,
    layouts: Layout | Sequence[Layout] | None,
    interactions: Sequence[Interaction] | Sequence[Sequence[Interaction]] | None,
    copies: int = 1,
) -> list[Layout]:
    """One layout a sample, with the captions and interactions that were given beside them."""
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise InputError(f"is {copies!r}; it must be an integer of 1 or more", field="num_images_per_prompt")
    for name, given in (("prompt", prompt), ("layouts", layouts), ("interactions", interactions)):
        if not isinstance(given, str | Layout | Iterable | None):
            raise InputError(f"is a {type(given).__name__}, and no list", field=name)
    prompts = [prompt] if isinstance(prompt, str) else None if prompt is None else list(prompt)
    if layouts is None:
        if prompts is None:
            raise InputError("is needed, or layouts", field="prompt")
        layouts = [Layout(text) for text in prompts]
    chosen = [layouts] if isinstance(layouts, Layout) else list(layouts)
    if not chosen:
        raise InputError("names no sample", field="layouts")
    if wrong := [one for one in chosen if not isinstance(one, Layout)]:
        what = (
            f"holds a {type(wrong[0]).__name__}; it takes Layouts (amdm.layout_file.read_layout reads one from a file)"
        )
        raise InputError(what, field="layouts")
    if prompts is not None:
        if len(prompts) not in (1, len(chosen)):
            raise InputError(f"there are {len(prompts)} for {len(chosen)} layouts", field="prompt")
        texts = prompts * len(chosen) if len(prompts) == 1 else prompts
        chosen = [replace(one, caption=text) for one, text in zip(chosen, texts, strict=True)]
    if interactions is not None:
        rows = list(interactions)
        each = [rows] * len(chosen) if all(isinstance(one, Interaction) for one in rows) else rows
        if strange := [row for row in each if isinstance(row, str) or not isinstance(row, Sequence)]:
            raise InputError(f"holds a {type(strange[0]).__name__}; it takes Interactions", field="interactions")
        if len(each) != len(chosen):
            raise InputError(f"there are {len(each)} rows for {len(chosen)} layouts", field="interactions")
        chosen = [replace(one, interactions=tuple(row)) for one, row in zip(chosen, each, strict=True)]  # type: ignore[arg-type]
    return [one for one in chosen for _ in range(copies)]


def sample_keys(generator: torch.Generator | Sequence[torch.Generator] | None, count: int) -> list[str]:
    """What random numbers derive from: a number that each sample's generator draws."""
    if generator is None or isinstance(generator, torch.Generator):
        each: list[torch.Generator | None] = [generator] * count
    else:
        each = list(generator) if isinstance(generator, Sequence) else []
        if not each or not all(isinstance(one, torch.Generator) for one in each):
            raise InputError("takes a torch.Generator, or one a sample", field="generator")
        if len(each) != count:
            raise InputError(f"there are {len(each)} for {count} samples", field="generator")
    drawn = (
        torch.randint(2**62, (1,), generator=one, device=one.device if one is not None else "cpu").item()
        for one in each
    )
    return [f"generator/{number}" for number in drawn]

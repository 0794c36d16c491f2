"""What a pipeline call is given, as one layout and one key a sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from amdm.errors import InputError, unknown
from amdm.layout import Interaction, Layout, reject_lone_surrogates
from amdm.plain_number import plain
from amdm.presets.settings import MethodSettings

CALLBACK_INPUTS = ("latents", "geometry")
ARGUMENTS = (
    *("prompt", "layouts", "interactions", "ip_adapter_image", "height", "width", "num_inference_steps"),
    *("guidance_scale", "negative_prompt", "num_images_per_prompt", "generator", "latents", "output_type"),
    *("return_dict", "callback_on_step_end", "callback_on_step_end_tensor_inputs", "all_models", "overrides"),
)
_ENCODED = "every model encodes captions and phrases itself: give prompt, or layouts"
NOT_TAKEN = {
    "prompt_embeds": _ENCODED,
    "negative_prompt_embeds": "give negative_prompt",
    "ip_adapter_image_embeds": "give ip_adapter_image",
    "cross_attention_kwargs": "the models' controls have it",
    "clip_skip": "the models were trained on the last layer",
    "guidance_rescale": "give guidance_scale",
    "timesteps": "give num_inference_steps, or set pipe.scheduler",
    "sigmas": "give num_inference_steps, or set pipe.scheduler",
    "eta": "steps are DDIM's without noise; the pull-back's is aggregation.eta in overrides",
}
"""Arguments of diffusers' calls, and what to give instead."""


def sample_layouts(
    prompt: str | Layout | Sequence[str] | Sequence[Layout] | None,
    layouts: Layout | Sequence[Layout] | None,
    interactions: Sequence[Interaction] | Sequence[Sequence[Interaction]] | None,
    copies: int = 1,
) -> list[Layout]:
    """One layout a sample, with the captions and interactions that were given beside them.

    Layouts may stand in the place of the prompt, which is a call's first argument.
    """
    copies = plain(copies)
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise InputError(f"is {copies!r}; it must be an integer of 1 or more", field="num_images_per_prompt")
    for name, given in (("prompt", prompt), ("layouts", layouts), ("interactions", interactions)):
        if not isinstance(given, str | Layout | Iterable | None):
            raise InputError(f"is a {type(given).__name__}, and no list", field=name)
    if isinstance(prompt, Layout) or _holds(prompt, Layout):
        if layouts is not None:
            raise InputError("are given twice: in the place of the prompt, and as layouts", field="layouts")
        prompt, layouts = None, prompt  # type: ignore[assignment]
    prompts: list[Any] | None = [prompt] if isinstance(prompt, str) else None if prompt is None else list(prompt)  # type: ignore[arg-type]
    if layouts is None:
        if prompts is None:
            raise InputError("is needed, or layouts", field="prompt")
        layouts = [Layout(text) for text in prompts]
    chosen = [layouts] if isinstance(layouts, Layout) else list(layouts)
    if not chosen:
        raise InputError("names no sample", field="layouts")
    if wrong := [one for one in chosen if not isinstance(one, Layout)]:
        what = f"holds a {type(wrong[0]).__name__}; it takes Layouts (amdm.layout.read_layout reads one from a file)"
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


def _holds(values: Any, kind: type) -> bool:
    """Whether it is a list that begins with one of that kind."""
    return isinstance(values, Sequence) and not isinstance(values, str) and bool(values) and isinstance(values[0], kind)


def sample_negatives(given: Any, count: int, copies: int = 1) -> list[str] | None:
    """One negative prompt a sample, of a list of one or of ``count``; None where it is one text, or not given."""
    if given is None or isinstance(given, str):
        return None
    texts: list[Any] = list(given) if isinstance(given, Sequence) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise InputError("must be a text, or a list of texts", field="negative_prompt")
    if len(texts) not in (1, count):
        raise InputError(f"there are {len(texts)} for {count} layouts", field="negative_prompt")
    each = texts * count if len(texts) == 1 else texts
    return [reject_lone_surrogates(text, "negative_prompt") for text in each for _ in range(copies)]


def style_images(given: Any, count: int, copies: int = 1) -> list[Any] | None:
    """One style image a sample, of one for all, one for each layout or one for each sample; None where there is none.

    A picture is what :func:`amdm.io.picture.to_pixels` takes.
    """
    if isinstance(given, Image.Image) or getattr(given, "ndim", None) == 3:
        return [given] * count
    if given is not None and (isinstance(given, str | bytes) or not isinstance(given, Iterable)):
        raise InputError(f"is a {type(given).__name__}; it must be a picture, or a list of them", field="style")
    if given is None:
        return None
    each = list(given)
    return [one for one in each for _ in range(copies)] if len(each) * copies == count else each


def check_latents(latents: Any, expected: tuple[int, ...]) -> None:
    """Raise InputError unless they are a tensor of floats of the shape (B, C, h, w), or not given."""
    if latents is not None and not isinstance(latents, torch.Tensor):
        raise InputError(f"is a {type(latents).__name__}, and no tensor", field="latents")
    if latents is not None and not latents.is_floating_point():
        raise InputError(f"is of {latents.dtype}; it must be floating point", field="latents")
    if latents is not None and tuple(latents.shape) != expected:
        raise InputError(f"has the shape {tuple(latents.shape)}; it must be {expected}", field="latents")


def check_output(
    output_type: str, callback: Any, tensors: Sequence[str] | None, others: Mapping[str, Any]
) -> Sequence[str]:
    """What the callback is to get: ``tensors`` or, of a ``PipelineCallback`` of diffusers, what that names itself.

    Raises:
        InputError: what a call would not read, or not know: an output type, callback or argument.
    """
    for name, value in others.items():
        if name not in NOT_TAKEN:
            raise unknown("argument", name, ARGUMENTS, field=name)
        if value is not None:
            raise InputError(f"is not taken; {NOT_TAKEN[name]}", field=name)
    if output_type not in ("pil", "np", "pt", "latent"):
        raise InputError(f"{output_type!r} is none of pil, np, pt, latent", field="output_type")
    if callback is not None and not callable(callback):
        raise InputError("cannot be called", field="callback_on_step_end")
    wanted: Sequence[str] = getattr(callback, "tensor_inputs", tensors) or ()
    if strange := [name for name in wanted if name not in CALLBACK_INPUTS]:
        field = f"callback_on_step_end_tensor_inputs.{strange[0]}"
        raise InputError(f"there are only {' and '.join(CALLBACK_INPUTS)}", field=field)
    return wanted


def override_texts(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """``{"aggregation.s": 5}`` as ``["aggregation.s=5"]``; a list of such texts as it is.

    Raises:
        InputError: it is one text, or a value is of no kind that a setting has.
    """
    if isinstance(overrides, str):
        raise InputError(f"is one text; it must be a list of them: [{overrides!r}]", field="overrides")
    if not isinstance(overrides, Mapping):
        return list(overrides)
    try:
        return [f"{name}={json.dumps(value, default=_number)}" for name, value in overrides.items()]
    except (TypeError, ValueError) as error:
        raise InputError("holds something other than numbers, texts and lists", field="overrides") from error


def call_settings(
    settings: MethodSettings,
    overrides: Sequence[str] | Mapping[str, Any],
    guidance_scale: float | Mapping[str, float] | None,
    num_inference_steps: int | None,
    **whole: Any,
) -> MethodSettings:
    """A preset's settings with what a call has in their place; what is None is the preset's.

    guidance_scale: of all models, or by model. whole: height, width and negative_prompt.

    Raises:
        InputError: naming the field or the model that is not there, or what its value must be.
    """
    labels = {label(name): name for name in settings.models}
    by_label = guidance_scale if isinstance(guidance_scale, Mapping) else dict.fromkeys(labels, guidance_scale)
    if strange := [name for name in by_label if name not in labels]:
        raise unknown("model", strange[0], labels, field=f"guidance_scale.{strange[0]}")
    each = {
        name: _given(num_inference_steps=num_inference_steps, guidance_scale=by_label.get(own))
        for own, name in labels.items()
    }
    texts = override_texts(overrides)
    changed = MethodSettings.read(settings.describe(), texts) if texts else settings
    return changed.changed({**_given(**whole), "settings": each})


def label(model: str) -> str:
    """What a user calls a model: the label where its name has one (``stable_diffusion:mine``), or the name."""
    return model.partition(":")[2] or model


def _given(**values: Any) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items() if value is not None}


def _number(value: Any) -> Any:
    """What JSON cannot write as it can: numbers, arrays and tensors. Raises TypeError for anything else."""
    found = plain(value)
    if found is value:
        raise TypeError
    return found


def sample_keys(
    generator: torch.Generator | Sequence[torch.Generator] | None, count: int, latents: torch.Tensor | None = None
) -> list[str]:
    """What random numbers derive from: a number that each sample's generator draws.

    Without generators, where the target's noise is given: from that noise, so that it decides the whole picture.
    """
    if generator is None and latents is not None:
        rows = latents.detach().to("cpu", torch.float32).contiguous()
        return [f"latents/{hashlib.sha256(row.numpy().tobytes()).hexdigest()}" for row in rows]
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

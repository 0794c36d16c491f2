"""Speed and memory of ways to draw the same pictures, side by side in one run; run: python scripts/benchmark.py.

Every round times each way once, in turn, so that a busy moment falls on all of them. Writes reports/benchmark.csv and
reports/benchmark.md.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import diffusers
import numpy as np
import pandas as pd
import torch
import typer
from diffusers import StableDiffusionPipeline

from amdm.layout import Layout
from amdm.methods import Method, load_methods, to_uint8
from amdm.model_set import LoadOptions
from amdm.noise import initial_noise
from bench.layouts.named import load_layouts

TARGET, BOTH, PLAIN = "interactdiffusion", "interactdiffusion+migc", "stable_diffusion"
MIB = 2**20


@dataclass
class Way:
    """One way to draw pictures: what it is compared with, what draws them, and what was measured."""

    name: str
    group: str
    draw: Callable[[], np.ndarray]
    evaluations: str = ""
    seconds: list[float] = field(default_factory=list)
    peak: float = 0.0
    pictures: np.ndarray | None = None


def main(
    profile: Annotated[str, typer.Option(help="mini or paper")] = "mini",
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    random_weights: Annotated[bool, typer.Option("--random-weights", help="full size without checkpoints")] = False,
    pictures: Annotated[int, typer.Option(help="pictures a measurement")] = 16,
    rounds: Annotated[int, typer.Option(help="measurements of each way, after one that does not count")] = 5,
    steps: Annotated[int, typer.Option(help="T")] = 20,
    to: Annotated[Path, typer.Option(help="the folder for the two files")] = Path("reports"),
) -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    loading = LoadOptions.parse(profile, None, device, random_weights=random_weights)
    cuda = loading.device.startswith("cuda")
    methods = load_methods(profile, (TARGET, BOTH, PLAIN), [f"settings.all.num_inference_steps={steps}"], loading)
    ways = ways_to_draw(methods, [entry.layout for entry in load_layouts("mini").entries[:pictures]])
    for turn in range(rounds + 1):
        for way in ways:
            measure(way, turn > 0, cuda)
    page = report(ways, methods[BOTH].models.saved_bytes, pictures, rounds, steps, cuda)
    to.mkdir(parents=True, exist_ok=True)
    table(ways, pictures).to_csv(to / "benchmark.csv", index=False, float_format="%.5f")
    (to / "benchmark.md").write_text(page, encoding="utf-8")
    typer.echo(page)


def ways_to_draw(methods: dict[str, Method], layouts: list[Layout]) -> list[Way]:
    """Groups of ways; the ways of a group draw the same pictures, up to rounding."""
    keys = [f"benchmark/{k}" for k in range(len(layouts))]
    both, total = methods[BOTH], methods[BOTH].settings.steps

    def ours(name: str) -> Callable[[], np.ndarray]:
        return lambda: methods[name].generate(layouts, keys).images

    def one_by_one() -> np.ndarray:
        made = [both.generate([layout], [key]).images for layout, key in zip(layouts, keys, strict=True)]
        return np.concatenate(made)

    def to_the_end() -> np.ndarray:
        """Every model in every step, as the authors' scripts run them."""
        with torch.inference_mode():
            result = both.run(both.bind(layouts, keys), all_models=True)
            return to_uint8(both.models.decode(result.latents[TARGET], TARGET))

    alone = both.generate(layouts[:1], keys[:1]).evaluations
    shown = ", ".join(f"{model} {count}" for model, count in alone.items())
    return [
        Way("StableDiffusionPipeline of diffusers", "caption only", theirs(methods[PLAIN], layouts, keys), str(total)),
        Way("stable_diffusion", "caption only", ours(PLAIN), str(total)),
        Way("interactdiffusion alone", "target", ours(TARGET), str(total)),
        Way("auxiliary stops after its last use", "aggregated", ours(BOTH), shown),
        Way("every model to the end", "aggregated", to_the_end, f"{TARGET} {total}, migc {total}"),
        Way("one picture at a time", "aggregated", one_by_one, shown),
    ]


def theirs(plain: Method, layouts: list[Layout], keys: list[str]) -> Callable[[], np.ndarray]:
    """diffusers' own pipeline on the same networks, captions, noise and guidance."""
    model, settings = plain.models.models[PLAIN], plain.settings
    pipe = StableDiffusionPipeline(
        vae=plain.models.vaes[""],
        text_encoder=model.text.text_encoder,
        tokenizer=model.text.tokenizer,
        unet=model.unet,
        scheduler=model.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    noise = initial_noise(keys, PLAIN, plain.models.latent_shape(settings.height, settings.width))

    def draw() -> np.ndarray:
        latents: Any = pipe(
            [layout.caption for layout in layouts],
            negative_prompt=[settings.negative_prompt] * len(layouts),
            height=settings.height,
            width=settings.width,
            num_inference_steps=settings.steps,
            guidance_scale=settings.settings[PLAIN].guidance_scale,
            latents=noise.to(model.unet.device, model.unet.dtype),
            output_type="latent",
        ).images
        with torch.inference_mode():  # by our autoencoder call: the mini one has no factor of its own
            return to_uint8(plain.models.decode(latents.float(), PLAIN))

    return draw


def measure(way: Way, counts: bool, cuda: bool) -> None:
    """One measurement."""
    reset_peak(cuda)
    started = time.perf_counter()
    way.pictures = way.draw()
    if cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    if counts:
        way.seconds.append(seconds)
        way.peak = max(way.peak, peak(cuda))


def reset_peak(cuda: bool) -> None:
    """Forget the peak of memory so far."""
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak(cuda: bool) -> float:
    """MiB: of the GPU where it draws, else resident."""
    if cuda:
        return torch.cuda.max_memory_allocated() / MIB
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def table(ways: list[Way], pictures: int) -> pd.DataFrame:
    """Seconds a picture, peak memory, and how far the pictures are from the first of their group, of 255."""
    first: dict[str, np.ndarray] = {}
    rows = []
    for way in ways:
        assert way.pictures is not None
        base = first.setdefault(way.group, way.pictures)
        each = np.array(way.seconds) / pictures
        rows.append(
            {
                "pictures of": way.group,
                "way": way.name,
                "s/picture, median": np.median(each),
                "p95": np.quantile(each, 0.95),
                "peak MiB": way.peak,
                "guided evaluations a picture": way.evaluations,
                "largest pixel difference": int(np.abs(way.pictures.astype(int) - base).max()),
            }
        )
    return pd.DataFrame(rows)


def report(ways: list[Way], saved_bytes: int, pictures: int, rounds: int, steps: int, cuda: bool) -> str:
    """The table as a page."""
    place = torch.cuda.get_device_name() if cuda else f"{platform.machine()} CPU, one thread"
    shown = table(ways, pictures).to_markdown(index=False, floatfmt=("", "", ".4f", ".4f", ".0f", "", ""))
    about = (
        f"{pictures} pictures, T = {steps}, {rounds} rounds, {place}; torch {torch.__version__}, diffusers "
        f"{diffusers.__version__}. Each round takes the ways in turn. Pictures are compared within their group."
    )
    shared = f"Held once in place of once a model: {saved_bytes / MIB:.1f} MiB of base weights."
    return f"# Speed and memory, side by side\n\n{about}\n\n{shown}\n\n{shared}\n\nMade by `make benchmark`.\n"


if __name__ == "__main__":
    typer.run(main)

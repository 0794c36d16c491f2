"""``amdm``: generate from layouts, and train the mini models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from amdm.commands import weights
from amdm.entry import run_app
from amdm.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(weights.app, name="weights")


ProfileOption = Annotated[str, typer.Option(help="mini, paper, or auto: paper where it can run, else mini")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="field=value of the preset, for example aggregation.s=5; repeatable")
]


@app.command()
def generate(
    preset: Annotated[str, typer.Option(help="method of the profile, for example interactdiffusion+migc")],
    layout: Annotated[Path | None, typer.Option(help="JSON (see data/examples); default: the preset's example")] = None,
    out: Annotated[Path, typer.Option(help="the picture (PNG)")] = Path("picture.png"),
    style: Annotated[Path | None, typer.Option(help="style image for IP-Adapter; default: the layout's")] = None,
    profile: ProfileOption = "auto",
    seed: Annotated[int, typer.Option(help="seed", min=0)] = 0,
    steps: Annotated[int | None, typer.Option(help="T; default: the preset's", min=1)] = None,
    change: SetOption = None,
    scale: Annotated[int, typer.Option(help="enlarge the picture (nearest pixel)", min=1, max=16)] = 1,
    draw_boxes: Annotated[bool, typer.Option("--draw-boxes", help="draw the boxes that were asked for")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="print the geometry of each aggregated step")] = False,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="full-size architectures without checkpoints: draws noise")
    ] = False,
    weights_dir: Annotated[Path | None, typer.Option(help="folder of the public checkpoints")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …; auto: cuda where there is one")] = "auto",
    dtype: Annotated[str, typer.Option(help="of the networks: float32, bfloat16 or float16; auto: by device")] = "auto",
) -> None:
    """Make one picture.

    Examples: amdm generate --preset interactdiffusion+migc --layout data/examples/mini.json --out picture.png --scale 4

    amdm generate --profile paper --preset interactdiffusion+migc --seed 3 --set aggregation.s=5 --draw-boxes
    """
    from amdm.config import load_profile
    from amdm.generation import Wanted, check_writable, chosen_profile, generate_picture, print_trace
    from amdm.loading import Loading

    check_writable(out)
    chosen = chosen_profile(profile, random_weights)
    changes = [*(change or ()), *([f"settings.all.num_inference_steps={steps}"] if steps is not None else [])]
    wanted = Wanted(chosen, preset, layout, style, seed, changes)
    loading = Loading.parse(chosen, weights_dir, device, dtype, random_weights)
    if trace and len(load_profile(chosen).method(preset, changes).models) == 1:
        raise InputError(f"{preset} has one model: nothing is aggregated", field="trace")
    generate_picture(wanted, loading, print_trace if trace else None).save(out, scale, draw_boxes)
    typer.echo(f"wrote {out} ({chosen} profile{', random weights' if random_weights else ''})")


@app.command()
def presets(
    profile: Annotated[str, typer.Option(help="auto, mini or paper")] = "mini",
    change: SetOption = None,
) -> None:
    """List the methods of a profile with their settings, as JSON.

    Example: amdm presets --profile paper --set settings.all.num_inference_steps=20
    """
    import json

    from amdm.config import load_profile
    from amdm.generation import chosen_profile

    loaded = load_profile(chosen_profile(profile, False))
    shown = {name: one.describe() for name, one in loaded.several(tuple(loaded.methods), change or ()).items()}
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command()
def doctor(
    weights_dir: Annotated[Path | None, typer.Option(help="folder of the public checkpoints")] = None,
    load: Annotated[bool, typer.Option("--load", help="load the paper's models too, and measure")] = False,
) -> None:
    """Say what can run here, what is missing, and what holding one base in memory saves."""
    from amdm.doctor import report

    for what, state in report(weights_dir, load):
        typer.echo(f"{what}: {state}")


@app.command("train-mini")
def train_mini(
    folder: Annotated[Path, typer.Option(help="checkpoints, losses, and the weights at the end")] = Path("training"),
    seed: Annotated[int, typer.Option(help="seed", min=0)] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    shorten: Annotated[
        float, typer.Option(help="factor on the numbers of steps, for a trial", min=0.0001, max=1)
    ] = 1.0,
) -> None:
    """Train the mini models from scratch; run again, it goes on where it stopped."""
    from amdm.mini.train import train_mini as train

    typer.echo(f"wrote {train(folder, seed, device, shorten)}")


def main() -> None:
    """Entry point."""
    run_app(app)


if __name__ == "__main__":
    main()

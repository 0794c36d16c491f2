"""``amdm``: generate from layouts, and train the mini models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from amdm.cli import weights
from amdm.cli.options import DeviceOption, DtypeOption, ProfileOption, WeightsDirOption
from amdm.console import make_app, run_app
from amdm.errors import InputError
from amdm.output import JsonOption, tell

app = make_app(__doc__)
app.add_typer(weights.app, name="weights")

STEPS = "num_inference_steps"
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="field=value of the preset, for example aggregation.s=5; repeatable")
]


@app.command()
def generate(
    preset: Annotated[str, typer.Option(help="one that `amdm presets` lists, for example interactdiffusion+migc")],
    layout: Annotated[Path | None, typer.Option(help="JSON (see data/examples); default: the preset's example")] = None,
    key: Annotated[str | None, typer.Option(help="which layout, where --layout is a set of several")] = None,
    out: Annotated[Path, typer.Option(help="the picture (PNG)")] = Path("picture.png"),
    style: Annotated[Path | None, typer.Option(help="style image for IP-Adapter; default: the layout's")] = None,
    profile: ProfileOption = "auto",
    seed: Annotated[int, typer.Option(help="of the initial noise", min=0, max=2**63 - 1)] = 0,
    steps: Annotated[int | None, typer.Option(help="denoising steps T; default: the preset's", min=1)] = None,
    change: SetOption = None,
    scale: Annotated[int, typer.Option(help="enlarge the picture so many times (nearest pixel)", min=1, max=16)] = 1,
    draw_boxes: Annotated[bool, typer.Option("--draw-boxes", help="draw the boxes that were asked for")] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="print each step's distance to the means and norm, over √dim")
    ] = False,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="full-size architectures without checkpoints: draws noise")
    ] = False,
    weights_dir: WeightsDirOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw one picture from a layout.

    Examples: amdm generate --preset interactdiffusion+migc --layout data/examples/mini.json --out picture.png --scale 4

    amdm generate --profile paper --preset interactdiffusion+migc --seed 3 --set aggregation.s=5 --draw-boxes
    """
    from amdm.cli.generate import GenerateRequest, check_writable, generate_picture, warn_of_other_weights
    from amdm.model_set import LoadOptions
    from amdm.presets.profile import load_profile
    from amdm.profiles import chosen_profile

    check_writable(out)
    if steps is not None and any(one.partition("=")[0].strip().endswith(STEPS) for one in change or ()):
        raise InputError("is given twice: by --set, too", field="steps")
    chosen = "paper" if random_weights and profile == "auto" else chosen_profile(profile, weights_dir)[0]
    changes = [*(change or ()), *([f"settings.all.{STEPS}={steps}"] if steps is not None else [])]
    wanted = GenerateRequest(chosen, preset, layout, style, seed, changes, key)
    loading = LoadOptions.parse(chosen, _folder(weights_dir, profile, chosen), device, dtype, random_weights)
    if trace and len(load_profile(chosen).method(preset, changes).models) == 1:
        raise InputError(f"{preset} has one model: nothing is aggregated", field="trace")
    steps_to = (sys.stderr if as_json else sys.stdout) if trace else None
    notes = warn_of_other_weights(chosen)
    generate_picture(wanted, loading, steps_to).save(out, scale, draw_boxes)
    text = f"wrote {out} ({chosen} profile{', random weights' if random_weights else ''})"
    about = {"profile": chosen, "seed": seed, "random_weights": random_weights, "notes": notes}
    tell(text, {"picture": out, **about}, as_json)


def _folder(weights_dir: Path | None, profile: str, chosen: str) -> Path | None:
    """Of the public checkpoints; where ``auto`` finds that they cannot run, what it takes instead reads none."""
    return None if (profile, chosen) == ("auto", "mini") else weights_dir


@app.command()
def presets(
    profile: ProfileOption = "mini",
    change: SetOption = None,
) -> None:
    """List the methods of a profile with their settings, as JSON.

    Example: amdm presets --profile paper --set settings.all.num_inference_steps=20
    """
    import json

    from amdm.presets.profile import load_profile
    from amdm.profiles import chosen_profile

    loaded = load_profile(chosen_profile(profile)[0])
    shown = {name: one.describe() for name, one in loaded.several(tuple(loaded.methods), change or ()).items()}
    typer.echo(json.dumps(shown, indent=2))


@app.command()
def doctor(
    weights_dir: WeightsDirOption = None,
    load: Annotated[bool, typer.Option("--load", help="load the paper's models too, and measure")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what can run here, what is missing, and what holding one base in memory saves."""
    from amdm.cli.doctor import report

    lines = report(weights_dir, load)
    tell("\n".join(f"{what}: {state}" for what, state in lines), dict(lines), as_json)


@app.command()
def studio(
    profile: ProfileOption = "mini",
    port: Annotated[
        int | None, typer.Option(help="default: the first free one from 7860 to 7899", min=1, max=65535)
    ] = None,
    weights_dir: WeightsDirOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Open a page to draw layouts in the browser, generate from them, and see each model's picture with its verdicts.

    It is served to this machine alone (127.0.0.1), and asks no other host for anything. Needs the extra ui.
    """
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise InputError("needs gradio, which is not installed: pip install 'amdm[ui]'", field="studio")
    from amdm.cli.generate import warn_of_other_weights
    from amdm.model_set import LoadOptions
    from amdm.profiles import chosen_profile
    from amdm.studio.judged import installed_judge
    from amdm.studio.serve import Served
    from amdm.studio.work import Studio

    chosen = chosen_profile(profile, weights_dir)[0]
    loading = LoadOptions.parse(chosen, _folder(weights_dir, profile, chosen), device)
    warn_of_other_weights(chosen)
    served = Served(Studio(chosen, loading, installed_judge()(chosen)), port)
    typer.echo(f"amdm studio: {served.address} (Ctrl-C ends it)")
    served.run()


@app.command("train-mini")
def train_mini(
    folder: Annotated[Path, typer.Option(help="checkpoints, losses, and the weights at the end")] = Path("training"),
    seed: Annotated[int, typer.Option(help="of the training", min=0, max=2**32 - 1)] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    shorten: Annotated[
        float, typer.Option(help="factor on the number of steps of each stage, for a trial", min=0.0001, max=1)
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Train the mini models from scratch; run again, it goes on where it stopped."""
    from amdm.mini.training.stages import train_mini as train

    weights = train(folder, seed, device, shorten)
    tell(f"wrote {weights}", {"weights": weights}, as_json)


def main() -> None:
    """Entry point."""
    run_app(app, "amdm", (MemoryError,))

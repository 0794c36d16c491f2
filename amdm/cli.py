"""``amdm``: generate from layouts, and train the mini models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from amdm.errors import InputError

USAGE_ERROR: Any = typer.BadParameter.__base__
"""click's UsageError; newer versions of typer carry a click of their own."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def generate(
    preset: Annotated[str, typer.Option(help="method of the profile, for example interactdiffusion+migc")],
    layout: Annotated[Path, typer.Option(help="JSON: caption, and segment with label and bbox")],
    out: Annotated[Path, typer.Option(help="the picture (PNG)")],
    profile: Annotated[str, typer.Option(help="mini or paper")] = "mini",
    seed: Annotated[int, typer.Option(help="seed", min=0)] = 0,
    scale: Annotated[int, typer.Option(help="enlarge the picture (nearest pixel)", min=1, max=16)] = 1,
    draw_boxes: Annotated[bool, typer.Option("--draw-boxes", help="draw the boxes that were asked for")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="print the geometry of each aggregated step")] = False,
) -> None:
    """Make one picture.

    Example: amdm generate --preset interactdiffusion+migc --layout data/examples/mini.json --out picture.png --scale 4
    """
    from amdm.generation import generate_picture, print_trace

    wanted = generate_picture(profile, preset, layout, seed, print_trace if trace else None)
    wanted.save(out, scale, draw_boxes)
    typer.echo(f"wrote {out}")


@app.command()
def presets(profile: Annotated[str, typer.Option(help="mini or paper")] = "mini") -> None:
    """List the methods of a profile with their settings, as JSON."""
    import json

    from amdm.config import load_profile

    loaded = load_profile(profile)
    typer.echo(json.dumps({name: loaded.describe(name) for name in loaded.methods}, indent=2))


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
    """Entry point: one line and a status, 2 for bad input, 130 for Ctrl-C, 1 for what failed on the way."""
    try:
        status = app(standalone_mode=False)
    except InputError as error:
        _leave(f"error: {error}", 2)
    except USAGE_ERROR as error:
        text = error.format_message().strip()
        _leave(f"error: {text}" if len(text.splitlines()) == 1 else text, 2)  # else it is the help
    except OSError as error:
        _leave(f"error: {InputError(str(error))}", 1)
    except KeyboardInterrupt:
        _leave("stopped", 130)
    sys.exit(status or 0)


def _leave(message: str, status: int) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()

"""``amdm-bench layouts``: what a layout set is like, whether a file is one, and where to get them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Layout sets: show, validate, sample, fetch.")
SetArgument = Annotated[str, typer.Argument(help="a set by name, or a file")]


@app.command()
def show(
    layouts: SetArgument,
    sheet: Annotated[Path | None, typer.Option(help="write a contact sheet (PNG) here")] = None,
) -> None:
    """Statistics of a layout set, beside COCO-MIG's."""
    from bench.layouts.named import load_layouts
    from bench.layouts.show import describe
    from bench.layouts.statistics import contact_sheet

    layout_set = load_layouts(layouts)
    typer.echo(describe(layout_set))
    if sheet is not None:
        contact_sheet(layout_set, 20).save(sheet, format="PNG")


@app.command()
def validate(layouts: SetArgument) -> None:
    """Read a layout file; say what is wrong with it, or its size and hash."""
    from bench.layouts.named import load_layouts

    found = load_layouts(layouts)
    typer.echo(f"{found.name}: {len(found)} layouts, {found.instance_count} instances, hash {found.hash}")


@app.command()
def sample(
    captions: Annotated[Path, typer.Option(help="COCO captions (captions_val2014.json)")],
    instances: Annotated[Path, typer.Option(help="COCO instances (instances_val2014.json)")],
    to: Annotated[Path, typer.Option(help="the layout file to write")],
    count: Annotated[int, typer.Option(help="entries in all, a multiple of 5")] = 800,
    seed: Annotated[int, typer.Option(help="seed")] = 0,
    official_quirks: Annotated[
        bool, typer.Option("--official-quirks", help="draw exactly as the official sampler does")
    ] = False,
) -> None:
    """Build a layout set from COCO annotations by the benchmark's rules."""
    from bench.layouts.readers import parse_records, read_object, write_json
    from bench.layouts.sampling import prepare_images, sample_records

    images = prepare_images(read_object(captions), read_object(instances))
    found = parse_records(sample_records(images, count, seed, official_quirks), to.stem)
    write_json(found, to)
    typer.echo(f"wrote {to}: {len(found)} layouts, hash {found.hash}")


@app.command()
def fetch(folder: Annotated[Path | None, typer.Option(help="by default the user's cache")] = None) -> None:
    """Fetch the public COCO-MIG files (non-commercial licence) and check their SHA-256."""
    from bench.layouts.fetch import LICENCE_NOTE, fetch_layouts

    typer.echo(LICENCE_NOTE)
    for path in fetch_layouts(folder):
        typer.echo(f"{path}: as recorded")

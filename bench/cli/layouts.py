"""``amdm-bench layouts``: what a layout set is like, whether a file is one, and where to get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option, Typer

from amdm.errors import MAX_FAULTS, InputError, faults_of, printable
from amdm.io.files import make_folder
from amdm.output import JsonOption, tell, tell_aside
from bench.cli.options import say_notes, write_file

if TYPE_CHECKING:
    from bench.layouts.layout_set import LayoutSet

app = Typer(no_args_is_help=True, help="Layout sets: show, validate, convert, sample, fetch.")
SetArgument = Annotated[str, Argument(help="a layout set by name, or a file")]


@app.command()
def show(
    layouts: SetArgument,
    draw: Annotated[Path | None, Option(help="write a contact sheet (PNG): boxes and labels of 20 layouts")] = None,
    as_json: JsonOption = False,
) -> None:
    """Statistics of a layout set, beside COCO-MIG's."""
    from bench.layouts.named import load_layouts
    from bench.layouts.statistics import contact_sheet, describe, layout_statistics

    with naming_every_fault(as_json):
        layout_set = load_layouts(layouts)
    say_notes(layout_set)
    document = {**_about(layout_set), "statistics": layout_statistics(layout_set), "drawn": draw}
    tell(describe(layout_set), document, as_json)
    if draw is not None:
        file = BytesIO()
        contact_sheet(layout_set, 20).save(file, format="PNG")
        write_file(draw, file.getvalue())


@app.command()
def validate(layouts: SetArgument, as_json: JsonOption = False) -> None:
    """Read a layout file; say all that is wrong with it (up to 20 faults), or its size and hash.

    Style pictures without which a run would not start are warned of.
    """
    from bench.job.conditions import style_faults
    from bench.layouts.named import load_layouts

    with naming_every_fault(as_json):
        found = load_layouts(layouts)
    say_notes(found)
    for fault in style_faults(found):
        typer.echo(f"warning: {fault}", err=True)
    text = f"{printable(found.name)}: {len(found)} layouts, {found.instance_count} instances, hash {found.hash}"
    tell(text, _about(found), as_json)


@app.command()
def convert(
    source: Annotated[Path, Argument(metavar="SRC", help="a file; of yolo and voc a folder")],
    form: Annotated[str, Option("--from", help="coco, yolo, voc, jsonl or csv")],
    out: Annotated[Path, Option(help="the layout file to write (.json)")],
    boxes: Annotated[
        str | None, Option(help="xyxy (two corners), xywh (corner, sides) or cxcywh (centre, sides)")
    ] = None,
    units: Annotated[str | None, Option(help="pixel, or relative: fractions of width and height")] = None,
    captions: Annotated[Path | None, Option(help="of coco: the captions file; default: made of labels")] = None,
    names: Annotated[
        Path | None, Option(help="of yolo: names of classes, lines or YAML; default: SRC/classes.txt")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write layouts of another form as a layout set: COCO, YOLO, Pascal VOC, JSON lines, CSV.

    Examples: amdm-bench layouts convert instances.json --from coco --captions captions.json --out mine.json

    amdm-bench layouts convert boxes.csv --from csv --boxes xywh --units pixel --out mine.json
    """
    from bench.layouts.foreign.convert import convert as read
    from bench.layouts.readers import write_json

    _check_target(out, "out")
    with naming_every_fault(as_json):
        found = read(source, form, boxes, units, captions, names)
    say_notes(found)
    make_folder(out.parent)
    write_json(found, out)
    text = f"wrote {out}: {len(found)} layouts, {found.instance_count} instances, hash {found.hash}"
    tell(text, {"file": out, **_about(found)}, as_json)


def _check_target(path: Path, option: str) -> None:
    """Raise InputError for a file that would not be read again as the layout set that it is."""
    if path.suffix.lower() != ".json":
        raise InputError("a layout set is written as .json", file=path, field=option)


def _about(found: LayoutSet) -> dict[str, Any]:
    """What a set is, for programs; notes: what was not read as it stands, and what is not judged."""
    numbers = {"layouts": len(found), "instances": found.instance_count, "levels": found.levels}
    return {"name": found.name, **numbers, "hash": found.hash, "notes": found.remarks}


@contextmanager
def naming_every_fault(as_json: bool) -> Iterator[None]:
    """Faults that are found inside go to stdout before the line of the error: several a line each; as JSON any."""
    try:
        yield
    except InputError as error:
        faults = faults_of(error)
        lines = [*map(str, faults)] + ([f"{MAX_FAULTS} faults, where reading stopped"] * (len(faults) == MAX_FAULTS))
        if as_json or len(faults) > 1:
            places = [{"file": one.file, "field": one.field, "what": one.what} for one in faults]
            tell("\n".join(lines), {"faults": places}, as_json)
        raise


@app.command()
def sample(
    captions: Annotated[Path, Option(help="COCO captions (captions_val2014.json)")],
    instances: Annotated[Path, Option(help="COCO instances (instances_val2014.json)")],
    to: Annotated[Path, Option(help="the layout file to write")],
    count: Annotated[int, Option(help="layouts in all, a multiple of 5")] = 800,
    seed: Annotated[int, Option(help="of the choice of images")] = 0,
    official_quirks: Annotated[
        bool, Option("--official-quirks", help="draw exactly as the official sampler does")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a layout set from COCO annotations by the benchmark's rules."""
    from amdm.layout import read_object
    from bench.layouts.annotations import MAX_ANNOTATIONS_BYTES
    from bench.layouts.readers import parse_records, write_json
    from bench.layouts.sampling import prepare_images, sample_records

    _check_target(to, "to")
    notes: list[str] = []
    texts, objects = (read_object(path, MAX_ANNOTATIONS_BYTES) for path in (captions, instances))
    images = prepare_images(texts, objects, notes, (captions, instances))
    for note in notes:
        typer.echo(f"{instances}: {note}", err=True)
    found = parse_records(sample_records(images, count, seed, official_quirks), to.stem)
    make_folder(to.parent)
    write_json(found, to)
    tell(f"wrote {to}: {len(found)} layouts, hash {found.hash}", {"file": to, **_about(found)}, as_json)


@app.command()
def fetch(
    folder: Annotated[
        Path | None, Option(help="default: AMDM_COCO_MIG_DIR, else amdm/coco-mig in the user's cache")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the public COCO-MIG files (non-commercial licence) and check their SHA-256."""
    from bench.layouts.fetch import LICENCE_NOTE, fetch_layouts

    tell_aside(LICENCE_NOTE, as_json)
    paths = fetch_layouts(folder)
    tell("\n".join(f"{path}: as recorded" for path in paths), {"files": paths, "licence": LICENCE_NOTE}, as_json)

"""YOLO's label files → layout records: a text file a picture, a line a box, ``class cx cy w h`` as fractions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from amdm.errors import Faults, InputError, instead
from amdm.io.files import lines_of, read_text
from amdm.io.yaml import read_yaml
from bench.layouts.foreign.boxes import NAMES, BoxForm, Record, number, read_each

FORM = BoxForm("cxcywh", "relative")
MAX_LABELS_BYTES, MAX_NAMES_BYTES = 2**20, 2**20
NAMES_FILE = "classes.txt"


def read_yolo(folder: Path, names: Path | None, counts: Counter[str]) -> dict[str, Record]:
    """A layout a label file, by the file's name without its ending.

    names: the classes, one a line, or YAML with ``names`` (a list, or a mapping from number to name); by default
    ``classes.txt`` in the folder.

    Raises:
        InputError: no folder, no names; each line that is not a box, by file and line.
    """
    if not folder.is_dir():
        raise InputError("is not a folder of label files", file=folder)
    chosen = folder / NAMES_FILE if names is None else names
    if not chosen.is_file():
        raise InputError("is not there; it names the classes, one a line (--names FILE)", file=chosen, field="names")
    classes = read_names(chosen)
    paths = [path for path in sorted(folder.glob("*.txt")) if path.resolve() != chosen.resolve()]
    return read_each(paths, lambda path: _segment(read_text(path, MAX_LABELS_BYTES), classes, counts), counts)


def read_names(path: Path) -> dict[int, str]:
    """Class number → name. Raises InputError for a file of another form, and for an empty line between names, which
    would leave the numbers after it in doubt."""
    if path.suffix not in (".yaml", ".yml"):
        lines = [line.strip() for line in lines_of(read_text(path, MAX_NAMES_BYTES).rstrip())]
        if "" in lines:
            what = "is empty, and a class is numbered by its line; YAML (names) has numbers of its own"
            raise InputError(what, file=path, field=f"line {lines.index('') + 1}")
        return dict(enumerate(lines))
    content = read_yaml(path, MAX_NAMES_BYTES)
    listed = content.get("names") if isinstance(content, dict) else None
    pairs = dict(enumerate(listed)) if isinstance(listed, list) else listed
    if not isinstance(pairs, dict) or not pairs:
        raise InputError("must be a list of names, or a mapping from numbers to names", file=path, field="names")
    for key, name in pairs.items():
        numbered = str(key).isascii() and str(key).isdigit() and len(str(key)) < 10
        if not numbered or not isinstance(name, str) or not name.strip():
            what = f"{str(key)[:40]!r}: {str(name)[:40]!r} is not a number with its name"
            raise InputError(what, file=path, field="names")
    return {int(key): name for key, name in pairs.items()}


def _segment(text: str, classes: dict[int, str], counts: Counter[str]) -> list[dict[str, object]]:
    faults, segment = Faults(), list[dict[str, object]]()
    for line, content in enumerate(lines_of(text), 1):
        words = content.split()
        if not words:
            continue
        with faults.at(f"line {line}"):
            segment.append(_placed(words, classes, counts))
    faults.check()
    return segment


def _placed(words: list[str], classes: dict[int, str], counts: Counter[str]) -> dict[str, object]:
    """A line's label and box. Raises InputError naming its class and its box where they are none."""
    if len(words) != 5:
        raise InputError(f"has {len(words)} fields; a box is `class cx cy w h`")
    faults, known, box = Faults(), {str(key): name for key, name in classes.items()}, list[float]()
    with faults.at("class"):
        if words[0] not in known:
            raise InputError(f"{words[0][:40]!r} is not a class; {instead('', known)}")
    with faults.at():
        values = [number(word, name) for word, name in zip(words[1:], NAMES[FORM.corners], strict=True)]
        box = FORM.unit_box(values, None, counts)
    faults.check()
    return {"label": known[words[0]], "bbox": box}

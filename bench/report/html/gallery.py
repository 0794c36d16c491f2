"""The gallery: every picture with what was asked, what was found, and why it counts or not, as plain JSON."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np

from amdm.errors import InputError, printable
from amdm.io.files import make_folder
from bench.cocomig.finding import as_told
from bench.cocomig.verdict import COLOUR_SHARE, IOU_THRESHOLD, best_mask, failure, to_canvas
from bench.detectors.cache import CACHE_FILE, CachedDetector
from bench.detectors.registry import detector_spec
from bench.job.batches import CEILING
from bench.layouts.layout_set import Entry
from bench.report.measured import Measured, Together
from bench.run.images import read_image, stored_file
from bench.stages.verdicts import categories_of, locate

FATES = {
    "none": ("right", "✓", "right"),
    "wrong_colour": ("wrong_colour", "C", "wrong colour"),
    "wrong_place": ("wrong_place", "P", "wrong place"),
    "nothing_detected": ("nothing", "N", "nothing found"),
}
"""How a verdict fails → its name on the page, its letter, and its words."""
CONDITIONS = {
    "right": ("action_right", "right", "A", "✓", "action right"),
    "other": ("action_other", "wrong_colour", "A", "O", "another action"),
    "none": ("action_none", "nothing", "A", "N", "no action found"),
    "reversed": ("action_reversed", "wrong_place", "A", "R", "action reversed"),
    "style": ("style_right", "right", "S", "✓", "style right"),
    "other_style": ("style_other", "wrong_colour", "S", "O", "another style"),
}
"""What becomes of an action or a style → its name on the page, the fate that it looks like, whose letter and which, and
its words."""
MAX_PICTURES = 12_000
"""Of a page: a picture is about 3 kB of it."""

Key = tuple[str, int, int]
Record = Mapping[Any, Any]
"""A row of a table of the run."""
THUMBNAIL = 160
"""Pixels of the longer side."""
LONGEST_SIDE = 16_383
"""Pixels; WebP has no longer ones, of which the thumbnail is shown alone."""
QUALITY = {"thumbnail": 88, "whole": 90}
FOLDER = "pictures"
Outlines = dict[int, list[list[int]]]
"""Instance → closed lines of its mask, each x1, y1, x2, y2 … in thousandths of width and height."""
UNIT = 1000
FINENESS = 0.004
"""Of the longer side: how far a simplified line may lie from the mask's edge."""
MAX_PARTS = 4


@dataclass(frozen=True)
class Gallery:
    """data: what the page's scripts read. left_out: rows beyond :data:`MAX_PICTURES`. outlined: some mask is drawn."""

    data: dict[str, Any]
    left_out: int
    outlined: bool


def gallery(shown: Together, pictures: Pictures) -> Gallery:
    """A row for each layout and seed, a tile a method; whole seeds are left out where there are too many pictures."""
    entries = {entry.index: entry for run in shown.runs for entry in run.entries}
    seeds = list(dict.fromkeys(seed for run in shown.runs for seed in run.info.seeds))
    kept = seeds[: max(1, MAX_PICTURES // max(1, len(entries) * len(shown.methods)))]
    makers = [_Tiles(run, pictures) for run in shown.runs]
    places = {(method, seed): maker for maker in makers for method in maker.methods for seed in maker.run.info.seeds}
    rows: list[dict[str, Any]] = []
    for seed in kept:
        for entry in entries.values():
            number = len(rows)
            tiles = [
                places[method, seed].tile(entry, (method, entry.index, seed), (number, k))
                if (method, seed) in places
                else None
                for k, method in enumerate(shown.methods)
            ]
            rows.append(_row(entry, seed, tiles, shown))
    data = {
        "methods": [{"name": printable(name), "ceiling": name == CEILING} for name in shown.methods],
        "fates": [{"kind": kind, "letter": letter, "words": words} for kind, letter, words in FATES.values()],
        "conditions": _conditions(shown),
        "iou": IOU_THRESHOLD,
        "share": COLOUR_SHARE,
        "unit": UNIT,
        "seeds": kept,
        "rows": rows,
    }
    return Gallery(data, len(entries) * (len(seeds) - len(kept)), any(maker.outlined for maker in makers))


def _row(entry: Entry, seed: int, tiles: list[dict[str, Any] | None], shown: Together) -> dict[str, Any]:
    asked = [
        {"label": printable(str(label)), "colour": label.colour, "category": label.category, "box": _unit(one.box)}
        for label, one in zip(entry.labels, entry.layout.instances, strict=True)
    ]
    about: dict[str, Any] = {
        "key": printable(entry.key),
        "level": entry.level,
        "seed": seed,
        "caption": printable(entry.layout.caption),
    }
    judged = shown.judged_kinds
    if actions := entry.actions or (entry.pairs if "interactions" in judged else ()):
        about["interactions"] = [one._asdict() | {"action": printable(one.action)} for one in actions]
    if entry.style is not None and (entry.asks_style or "styles" in judged):
        about["style"] = printable(entry.style_name or entry.style.stem)
    return {**about, "asked": asked, "tiles": tiles}


def _conditions(shown: Together) -> list[dict[str, str]]:
    """The verdicts on actions and styles, where any was given."""
    if all(run.conditions.empty for run in shown.runs):
        return []
    names = ("kind", "look", "whose", "letter", "words")
    return [dict(zip(names, one, strict=True)) for one in CONDITIONS.values()]


class _Tiles:
    """Makes the tiles of one run."""

    def __init__(self, run: Measured, pictures: Pictures) -> None:
        self.run, self.pictures, self.outlined = run, pictures, False
        self.methods = [*run.info.methods, *([CEILING] if (run.samples.method == CEILING).any() else [])]
        self._outline = outliner(run)
        self._samples = {_key(row): row for row in run.samples.to_dict("records")}
        self._verdicts: dict[Key, list[Record]] = {}
        found = {(*_key(row), row["instance"]): row for row in run.findings.to_dict("records")}
        for row in run.verdicts.to_dict("records"):
            own = found.get((*_key(row), row["instance"]), {})
            self._verdicts.setdefault(_key(row), []).append({**row, **own})
        self._conditions: dict[Key, list[dict[str, Any]]] = {}
        for row in run.conditions.interactions.to_dict("records"):
            told = _condition(row, row["outcome"]) | {"of": row["interaction"]}
            self._conditions.setdefault(_key(row), []).append(told)
        for row in run.conditions.styles.to_dict("records"):
            told = _condition(row, "style" if row["success"] else "other_style")
            self._conditions.setdefault(_key(row), []).append(told)

    def tile(self, entry: Entry, key: Key, number: tuple[int, int]) -> dict[str, Any] | None:
        """A picture and its verdicts; what is known of one that failed; None where nothing was asked for."""
        sample = self._samples.get(key)
        if sample is None:
            return None
        if sample["status"] != "ok":
            return {"error": printable(" ".join(str(sample["error"]).split())[:200])}
        path = stored_file(self.run.folder, sample["image"])
        try:
            image = read_image(path or Path(""))
        except InputError as error:
            return {"error": f"the picture cannot be shown: {printable(error.what)}"}
        lines = self._outline(image, entry) if key in self._verdicts else {}
        self.outlined |= bool(lines)
        verdicts = [_verdict(row, lines.get(row["instance"])) for row in self._verdicts.get(key, [])]
        conditions = {"conditions": self._conditions[key]} if key in self._conditions else {}
        return {**self.pictures.add(image, number), "verdicts": verdicts, **conditions}


def _verdict(row: Record, lines: list[list[int]] | None) -> dict[str, Any]:
    """One instance: instance, fate (index), iou; where known: hit, box, colour, share, lines."""
    kind = failure(bool(row["detected"]), bool(row["success"]), bool(row["attr"]))
    found: dict[str, Any] = {"instance": row["instance"], "fate": list(FATES).index(kind)}
    found["iou"] = round(as_told(row["iou"], IOU_THRESHOLD), 3)
    if _known(row, "mask_px") and row["mask_px"] > 0 and _known(row, "hit_px"):
        found["hit"] = round(as_told(row["hit_px"] / row["mask_px"], COLOUR_SHARE), 3)
    if all(_known(row, side) for side in ("x1", "y1", "x2", "y2")):
        found["box"] = _unit((row["x1"], row["y1"], row["x2"], row["y2"]))
    if _known(row, "found_colour") and _known(row, "found_share"):
        found |= {"colour": printable(str(row["found_colour"])), "share": round(row["found_share"], 3)}
    return found | ({"lines": lines} if lines else {})


def _condition(row: Record, outcome: str) -> dict[str, Any]:
    """Of one interaction or style: its place in :data:`CONDITIONS`, and what was found, if anything."""
    found = {"found": printable(str(row["found"]))} if _known(row, "found") else {}
    return {"condition": list(CONDITIONS).index(outcome), **found}


def _known(row: Record, name: str) -> bool:
    value = row.get(name)
    return value is not None and not (isinstance(value, float) and isnan(value))


def _unit(box: tuple[float, float, float, float]) -> list[int]:
    return [round(UNIT * value) for value in box]


def _key(row: Record) -> Key:
    return row["method"], row["layout_index"], row["seed"]


class Pictures:
    """Collects pictures.

    Args:
        folder: where the page lies. single_file: whole pictures go into the page too.
    """

    def __init__(self, folder: Path, single_file: bool) -> None:
        self.folder, self.single_file = folder, single_file
        self.thumbnails: list[str] = []
        self.whole: list[str] = []
        self._written: set[str] = set()

    def add(self, image: np.ndarray, number: tuple[int, int]) -> dict[str, Any]:
        """What the page's scripts read of a picture: thumbnail (its index), width, height, and, unless the thumbnail is
        the picture already, whole: the file beside the page, or the index of what the page holds.

        Args:
            image: uint8 RGB (H, W, 3). number: which picture of the page it is; names its file.
        """
        height, width = image.shape[:2]
        self.thumbnails.append(base64.b64encode(_webp(_shrunk(image), QUALITY["thumbnail"])).decode("ascii"))
        found: dict[str, Any] = {"thumbnail": len(self.thumbnails) - 1, "width": width, "height": height}
        if THUMBNAIL < max(height, width) <= LONGEST_SIDE:
            found["whole"] = self._keep(_webp(image, QUALITY["whole"]), "{}-{}.webp".format(*number))
        return found

    def _keep(self, content: bytes, name: str) -> str | int:
        if self.single_file:
            self.whole.append(base64.b64encode(content).decode("ascii"))
            return len(self.whole) - 1
        make_folder(self.folder / FOLDER)
        (self.folder / FOLDER / name).write_bytes(content)
        self._written.add(name)
        return f"{FOLDER}/{name}"

    def remove_others(self) -> None:
        """Files that an earlier page had and this one has not."""
        for path in (self.folder / FOLDER).glob("*.webp"):
            if re.fullmatch(r"\d+-\d+\.webp", path.name) and path.name not in self._written:
                path.unlink()


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = THUMBNAIL / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _webp(image: np.ndarray, quality: int) -> bytes:
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1])


def outliner(run: Measured) -> Callable[[np.ndarray, Entry], Outlines]:
    """A function from a picture, uint8 RGB (H, W, 3), and its layout to outlines; empty where none are kept.

    No detector is loaded. Answers of another version, of another machine or of other weights are not taken.
    """
    cache = run.folder / CACHE_FILE
    if run.detector is None or not cache.is_file():
        return lambda image, entry: {}
    canvas = detector_spec(run.detector).canvas
    try:
        detector = CachedDetector(cache, run.settings.judge, canvas, _refuse)
    except (InputError, sqlite3.Error, OSError):
        return lambda image, entry: {}

    def find(image: np.ndarray, entry: Entry) -> Outlines:
        judged = to_canvas(image, canvas)
        try:
            (found,) = detector.find([judged], [categories_of(entry)])
            located = locate(judged.shape[:2], entry, found)
        except (InputError, sqlite3.Error, OSError):
            return {}
        return {k: outline(best_mask(masks)) for k, (_, masks) in enumerate(located) if masks is not None}

    return find


def outline(mask: np.ndarray) -> list[list[int]]:
    """The outer lines of a mask, bool (H, W): those of its largest parts, simplified."""
    height, width = mask.shape
    scale = max(1, round(256 / max(height, width)))  # lines run through pixels' centres: finer pixels, truer edges
    enlarged = np.kron(mask, np.ones((scale, scale), bool)).astype(np.uint8)
    parts, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    lines = []
    for part in sorted(parts, key=cv2.contourArea, reverse=True)[:MAX_PARTS]:
        simple = cv2.approxPolyDP(part, FINENESS * max(enlarged.shape), True).reshape(-1, 2)
        if len(simple) > 2:
            thousandths = np.rint((simple + 0.5) * (UNIT / (scale * width), UNIT / (scale * height)))
            lines.append([int(value) for value in thousandths.ravel()])
    return lines


def _refuse() -> NoReturn:
    raise InputError("the run does not hold the detector's answer")

"""The whole evaluator against a published result: the MIGC authors' 800 released pictures, scored again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from amdm.errors import InputError
from amdm.io.files import make_folder
from bench.cocomig.metrics import AVERAGE, METRICS, metric_table
from bench.defaults import images_job
from bench.detectors.detector import DetectorOptions
from bench.detectors.registry import detector_facts
from bench.import_images import score_images
from bench.job.plan import Plan
from bench.layouts.named import load_layouts
from bench.report.text import as_page
from bench.run.read import read_table

LAYOUTS = "coco-mig-migc"
FOLDER_ID = "1UyhNpZ099OTPy5ILho2cmWkiOH2j-FrB"
FOLDER_URL = f"https://drive.google.com/drive/folders/{FOLDER_ID}"
METHOD, SEED = "MIGC, released pictures", 42
PICTURES = 800
TOLERANCE = 0.5
"""Points."""
PUBLISHED = {
    (AVERAGE, "isr"): 0.664375,
    ("L2", "isr"): 0.740625,
    ("L3", "isr"): 0.672917,
    ("L4", "isr"): 0.670313,
    ("L5", "isr"): 0.632500,
    ("L6", "isr"): 0.657292,
    (AVERAGE, "miou"): 0.569622,
}
"""The same pictures under the official evaluator, by COCO-MIG-Bench (thisisWooyeol/COCO-MIG-Bench, LEADERBOARD.md)."""


class Check(NamedTuple):
    """passed: every figure is within the tolerance and every picture was judged. report: Markdown."""

    passed: bool
    report: str


def fetch_pictures(folder: Path) -> Path:
    """Fetch the released pictures from Google Drive; what is there already is not fetched again.

    Raises:
        InputError: Drive refuses; it says how to do it by hand.
    """
    import gdown

    by_hand = f"download {FOLDER_URL} in a browser, unpack it, and give its folder with --images"
    make_folder(folder)
    try:
        found = gdown.download_folder(id=FOLDER_ID, output=str(folder), resume=True)
    except Exception as error:  # gdown raises requests', bs4's and its own
        raise InputError(f"Google Drive refuses ({type(error).__name__}); {by_hand}", field="images") from error
    if not found:
        raise InputError(f"Google Drive gives no files; {by_hand}", field="images")
    return folder


def check_ready(detector: DetectorOptions) -> None:
    """Raises InputError where the layouts or the judge's weights are not there: before hundreds of pictures come."""
    load_layouts(LAYOUTS)
    detector_facts(detector)


def check_pictures(folder: Path, out: Path, reports: Path, detector: DetectorOptions) -> Check:
    """Judge the pictures in ``folder`` in the run folder ``out``, and compare."""
    plan = replace(Plan.resolve(images_job(LAYOUTS, METHOD, SEED, detector.name)), detector=detector)
    _, found, _ = score_images(folder, plan, out=out, reports=reports)
    counted = ", ".join(f"{count} {what}" for what, count in found.counts().items())
    return compare_with_published(read_table(out, "verdicts"), f"Pictures: {counted}.")


def compare_with_published(verdicts: pd.DataFrame, note: str = "") -> Check:
    """The figures of a table of verdicts beside :data:`PUBLISHED`."""
    measured = {row["level"]: row for row in metric_table(verdicts, intervals=False).to_dict("records")}
    rows, passed = [], True
    for (level, metric), published in PUBLISHED.items():
        value = float(measured[level][metric]) if level in measured else math.nan
        difference = 100 * (value - published)
        within = abs(difference) <= TOLERANCE + 1e-9  # NaN is not within
        passed &= within
        name = f"{METRICS[metric].label} {level}"
        rows.append([name, 100 * published, 100 * value, difference, "yes" if within else "**no**"])
    judged = verdicts.groupby(["layout_index", "seed"]).ngroups
    columns = ["per cent", "published", "measured", "difference", f"within {TOLERANCE} points"]
    table = pd.DataFrame(rows, columns=columns).to_markdown(index=False, floatfmt=("", ".2f", ".2f", "+.2f", ""))
    counted = f"{judged} of {PICTURES} pictures were judged"
    passed &= judged == PICTURES
    verdict = "agrees with" if passed else "**does not agree with**"
    parts = ["# The evaluator on MIGC's released pictures", note, str(table), f"{counted}; the evaluator {verdict} it."]
    return Check(bool(passed), as_page(parts))

"""How often intervals (bench.cocomig.intervals) hold the truth, by simulation: python scripts/interval_coverage.py.

Layouts have 2–6 instances, which share their layout's chance of success: beta-binomial with a given intra-layout
correlation. Writes reports/interval_coverage.csv and reports/interval_coverage.md.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from bench.cocomig.intervals import CONFIDENCE, difference_interval, ratio_interval

LAYOUTS = (1, 5, 10, 25, 100, 800)
CORRELATIONS = (0.0, 0.3)
SUCCESS = (0.0, 0.005, 0.02, 0.05, 0.5, 0.95, 0.98, 0.995, 1.0)
PAIRS = ((0.0, 0.0), (0.02, 0.02), (0.5, 0.5), (0.98, 0.98), (1.0, 1.0), (0.02, 0.05), (0.95, 0.98), (0.5, 0.95))
ALIKE = (0.0, 0.9, 0.99, 1.0)
"""Share of the layouts on which two methods do the same."""
Outcomes = tuple[np.ndarray, np.ndarray]


def main(
    draws: Annotated[int, typer.Option(help="simulated runs a cell")] = 4000,
    to: Annotated[Path, typer.Option(help="the folder for the two files")] = Path("reports"),
) -> None:
    """Simulate, print and write."""
    table = pd.concat([simulate_ratios(draws), simulate_differences(draws)], ignore_index=True).round(4)
    page = report(table, draws)
    to.mkdir(parents=True, exist_ok=True)
    table.to_csv(to / "interval_coverage.csv", index=False)
    (to / "interval_coverage.md").write_text(page, encoding="utf-8")
    typer.echo(page)


def simulate_ratios(draws: int) -> pd.DataFrame:
    """ISR, and mIoU with an IoU of 0.5–1 for each success and 0 otherwise."""
    rows = []
    for cell, (layouts, correlation, success) in enumerate(product(LAYOUTS, CORRELATIONS, SUCCESS)):
        generator = np.random.default_rng(cell)
        correct, instances = outcomes(generator, (draws, layouts), success, correlation)
        # The mean of n uniform numbers in 0.5–1 is drawn as a normal number of its variance: only sums are needed.
        error = generator.standard_normal(correct.shape) * np.sqrt(correct / 48)
        overlap = np.clip(0.75 * correct + error, 0.5 * correct, correct)
        for figure, above, truth in (("ISR", correct, success), ("mIoU", overlap, 0.75 * success)):
            found = coverage(ratio_interval(above, instances), truth)
            rows.append({"figure": figure, "layouts": layouts, "correlation": correlation, "success": success} | found)
    return pd.DataFrame(rows)


def simulate_differences(draws: int) -> pd.DataFrame:
    """ISR of one method less that of another which does the same on some layouts, and anything on the others."""
    rows = []
    cases = product(LAYOUTS, CORRELATIONS, PAIRS, ALIKE)
    for cell, (layouts, correlation, (success, other), alike) in enumerate(cases):
        generator = np.random.default_rng(10_000 + cell)
        first = outcomes(generator, (draws, layouts), success, correlation)
        same = generator.random((draws, layouts)) < alike
        own = outcomes(generator, (draws, layouts), other, correlation, first[1])[0]
        second = (np.where(same, first[0], own), first[1])
        about = {"figure": "ISR difference", "layouts": layouts, "correlation": correlation, "success": success}
        found = coverage(difference_interval(first, second), (1 - alike) * (success - other))
        rows.append(about | {"other": other, "alike": alike} | found)
    return pd.DataFrame(rows)


def outcomes(
    generator: np.random.Generator,
    shape: tuple[int, int],
    success: float,
    correlation: float,
    instances: np.ndarray | None = None,
) -> Outcomes:
    """Successes and instances of each layout, (draws, layouts)."""
    if instances is None:
        instances = generator.integers(2, 7, shape)
    chance = np.full(shape, success)
    if correlation and 0 < success < 1:
        spread = (1 - correlation) / correlation
        chance = generator.beta(success * spread, (1 - success) * spread, shape)
    return generator.binomial(instances, chance).astype(np.float64), instances


def coverage(bounds: Outcomes, truth: float) -> dict[str, float]:
    """Share of the intervals that hold the truth, and their mean width; NaN where there is none."""
    low, high = bounds
    if np.isnan(low).all():
        return {"coverage": np.nan, "width": np.nan}
    held = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
    return {"coverage": float(held.mean()), "width": float((high - low).mean())}


def report(table: pd.DataFrame, draws: int) -> str:
    """The table as a page: ISR cell by cell, and of every figure the smallest coverage by layouts."""
    isr = table[table.figure == "ISR"]
    shown = [f"{100 * c:.1f} ({100 * w:.1f})" if c == c else "none" for c, w in isr[["coverage", "width"]].to_numpy()]
    labels = {success: f"{100 * success:g}" for success in SUCCESS}
    cells = isr.assign(shown=shown, success=isr.success.map(labels))
    cells = cells.pivot(index=["layouts", "correlation"], columns="success", values="shown")[list(labels.values())]
    groups = table[table.coverage.notna()].groupby(["figure", "layouts"], sort=False)
    smallest = groups.agg(smallest=("coverage", "min"), mean=("coverage", "mean"), width=("width", "mean"))
    smallest = (100 * smallest).join(groups.size().rename("cells")).reset_index()
    about = (
        f"Per cent of {draws} simulated runs whose {100 * CONFIDENCE:g} % interval holds the truth. 2–6 instances a "
        "layout; correlation: of the instances of a layout. One layout has no interval."
    )
    return "\n\n".join(
        [
            "# Coverage of the intervals",
            about,
            "## ISR by true success (per cent): coverage (mean width in points)",
            cells.reset_index().to_markdown(index=False),
            "## Smallest and mean coverage, mean width",
            "mIoU: a success has an IoU of 0.5–1. Differences: two methods that do the same on 0, 90, 99 or 100 % of "
            "the layouts, at several rates of success (interval_coverage.csv has each cell).",
            smallest.to_markdown(index=False, floatfmt=("", "", ".1f", ".1f", ".1f", "")),
            "Made by `python scripts/interval_coverage.py`.\n",
        ]
    )


if __name__ == "__main__":
    typer.run(main)

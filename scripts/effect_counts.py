"""How often an aggregate is right where none of its models alone is: python scripts/effect_counts.py.

Reads verdicts.parquet and interactions.parquet of a report and prints the counts of docs/results.md, "The picture".
Right: every instance in place and colour, and every action; styles, which none of the methods reads, are left aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from bench.report.names import display_name

AGGREGATE = "interactdiffusion+migc@combined"
ALONE = ("interactdiffusion@combined", "migc@combined")
PICTURE = ["layout_index", "seed"]


def right_pictures(verdicts: pd.DataFrame, interactions: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Of each layout and seed of which all the methods have a picture (rows), by method (columns): whether every
    instance and action is right (bool).

    verdicts: one row an instance, with attr (place and colour). interactions: one row each, with outcome.
    """
    wrong = pd.concat(
        [
            verdicts.assign(wrong=~verdicts.attr.astype(bool)),
            interactions.assign(wrong=interactions.outcome != "right"),
        ]
    )
    wrong = wrong[wrong.method.isin(methods)].groupby([*PICTURE, "method"]).wrong.any()
    return ~wrong.unstack("method").dropna().astype(bool)


def effect_counts(right: pd.DataFrame, aggregate: str, alone: Sequence[str]) -> tuple[int, dict[str, float]]:
    """In how many pictures the aggregate is right and none of the models alone; how often each is right (fractions).

    right: of :func:`right_pictures`.
    """
    gained = right[aggregate] & ~right[[*alone]].any(axis=1)
    return int(gained.sum()), {name: float(right[name].mean()) for name in (aggregate, *alone)}


def main(report: Annotated[Path, typer.Argument(help="a report's folder")] = Path("reports/combined")) -> None:
    """Count, and print a line for each."""
    tables = (pd.read_parquet(report / f"{name}.parquet") for name in ("verdicts", "interactions"))
    right = right_pictures(*tables, (AGGREGATE, *ALONE))
    gained, shares = effect_counts(right, AGGREGATE, ALONE)
    print(f"{gained} of {len(right)}: {display_name(AGGREGATE)} is right, and none of its models alone")
    for name, share in shares.items():
        print(f"{display_name(name)}: right in {100 * share:.1f} %")


if __name__ == "__main__":
    typer.run(main)

"""The page of an ablation: arms, distances with every overshoot, hand-over curves, gains by stratum."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from amdm.presets.settings import MethodSettings
from bench.cocomig.intervals import CONFIDENCE, simultaneous
from bench.cocomig.metrics import AVERAGE, METRICS, as_columns, paired
from bench.generators.pull_back import DISTANCE, ETA
from bench.job.batches import CEILING
from bench.report.joint import JUDGED, SHOWN, calls_of
from bench.report.tables import NAN, TableInfo, remarks_markdown
from bench.report.text import Written, as_markdown, as_page, bounds_texts, in_per_cent, ranges_text, write_study
from bench.report.trial_tables import Tables, failed_markdown

ALONE = "single models"
DIFFERENCES = "differences between the paper and the authors' code"
GAINS = ("isr", JUDGED[0])
"""Metrics of which the gain over the target is shown, where the layouts ask for them."""
OVERSHOOT = "overshoots"
TOLERANCE = 1e-5
"""Relative: that much past the distance is rounding."""
FIVE = """Five things differ between Algorithm 1 and the authors' public code (docs/compositions.md):

1. initial noise: one x_T for all models, or one for each;
2. the window: steps 0 … s − 1, or 1 … s;
3. the mean of the pull-back: DDIM's of this step, or a one-step DDPM mean with ε and α of the step before (which step 0
   does not have, so that it comes with their window);
4. the coefficients of three models, whose squares add up to 1 or do not; with two models they are the same;
5. what the other models do after the window: nothing, or they run on to the end, which costs evaluations and changes no
   pixel of the target's picture, so that it has no arm.

Norms are of one sample in both, as in their code at batch 1."""


@dataclass(frozen=True)
class Arm:
    """name: begins with its T. section: what it belongs to."""

    name: str
    steps: int
    section: str
    settings: MethodSettings


def distances_by_step(samples: pd.DataFrame) -> pd.DataFrame:
    """Columns method, step, model, distance_to_mean, eta (over √dim, means over samples), overshoots (the share of
    samples whose η is longer than the distance: the pull-back goes past the mean), samples.

    Args:
        samples: with the column pull_back_steps (:class:`bench.report.trial_tables.Tables`).
    """
    rows = [
        (row["method"], int(step), model, one[DISTANCE], one[ETA], one[ETA] > (1 + TOLERANCE) * one[DISTANCE])
        for row in samples[samples.pull_back_steps.notna()].to_dict("records")
        for step, models in json.loads(str(row["pull_back_steps"])).items()
        for model, one in models.items()
    ]
    table = pd.DataFrame(rows, columns=["method", "step", "model", DISTANCE, ETA, OVERSHOOT])
    groups = table.groupby(["method", "step", "model"], sort=False)
    return groups.mean().join(groups.size().rename("samples")).reset_index()


def arm_table(tables: Tables, arms: Sequence[Arm]) -> pd.DataFrame:
    """One row an arm: T, section, arm, metrics (fractions), gains over the target at the same T with bounds that hold
    for all arms of a T and a metric at once (Bonferroni), evaluations and seconds a picture, and failed pictures."""
    found, sums = tables.over_levels, tables.sums
    shown = [name for name in ("isr", *SHOWN) if name in found]
    counts = pd.Series([arm.steps for arm in arms]).value_counts()
    rows = []
    for arm in arms:
        own = tables.samples[tables.samples.method == arm.name]
        row: dict[str, object] = {"T": arm.steps, "section": arm.section, "arm": arm.name}
        row |= {name: found[name].get(arm.name, NAN) for name in shown}
        target = f"T {arm.steps}: {arm.settings.models[0]}"
        if arm.section != ALONE and {arm.name, target} <= set(sums.method):
            differences = paired(sums, arm.name, target, simultaneous(int(counts[arm.steps])))
            for name in (one for one in GAINS if one in differences):
                row |= as_columns(f"{name}_gain", differences[name])
        row |= {"evaluations": float(calls_of(own).mean()), "s/image": float(own.seconds.mean())}
        rows.append(row | {"failed": int((own.status == "failed").sum())})
    return pd.DataFrame(rows)


def write_ablation(
    folder: Path, tables: Tables, arms: Sequence[Arm], curves: pd.DataFrame, strata: pd.DataFrame, info: TableInfo
) -> Written:
    """``ablation.md``, and arms, distances, hand-over curves and strata as CSV.

    Args:
        curves: of :func:`bench.studies.ablation.hand_over`. strata: of
            :func:`bench.cocomig.strata.gain_by_stratum`, with the columns T and of (what a unit is) before.
    """
    table, distances = arm_table(tables, arms), distances_by_step(tables.samples)
    metrics = tables.metrics
    ceiling = metrics[(metrics.level == AVERAGE) & (metrics.method == CEILING)]
    found = {"arms": table, "distances": distances, "hand_over": curves, "strata": strata}
    return write_study(folder, "ablation", ablation_markdown(found, ceiling, info), found)


def ablation_markdown(found: Mapping[str, pd.DataFrame], ceiling: pd.DataFrame, info: TableInfo) -> str:
    """The tables as a page."""
    table = found["arms"]
    about = (
        f"{info.measured_on}, judge `{info.judge}`. Per cent. Gains: points over the target alone at the same T, "
        f"paired; the intervals of a metric hold for all arms of a T at once with {100 * CONFIDENCE:g} % (Bonferroni)."
    )
    parts = [f"# {info.title}: {info.layouts}", about, remarks_markdown(info.remarks), FIVE]
    parts.append(failed_markdown(table.set_index("arm").failed))
    for (steps, section), own in table.groupby(["T", "section"], sort=False):
        parts += [f"## T = {steps}: {section}", as_markdown(_shown(own))]
    if len(ceiling):
        parts += ["## Ceiling", as_markdown(_shown(ceiling.assign(arm=CEILING)))]
    parts += ["## Distances to the means, and overshoots", *_distances(found["distances"], table)]
    parts += ["## Hand-over curves", _curves(found["hand_over"]), "## Where the gain is", _strata(found["strata"])]
    return as_page([*parts, f"Made by `{info.command}`."])


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = table[["arm"]].assign(**in_per_cent(table, ("isr", *SHOWN)))
    for name in (one for one in GAINS if f"{one}_gain" in table and table[f"{one}_gain"].notna().any()):
        bounds = (f"{name}_gain{end}" for end in ("", "_low", "_high"))
        shown[f"gain, {METRICS[name].label}"] = bounds_texts(table, *bounds)
    return shown.assign(**{name: table[name] for name in ("evaluations", "s/image") if name in table})


def _distances(distances: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    if distances.empty:
        return ["Nothing was pulled back."]
    own = set(table[table.section == DIFFERENCES].arm)
    over = sorted(set(distances[distances[OVERSHOOT] > 0].method), key=list(table.arm).index)
    flagged = "\n".join(f"- **{name}**: {_where(distances[distances.method == name])}" for name in over)
    shown = distances[distances.method.isin(own)].assign(overshoots=lambda one: 100 * one[OVERSHOOT])
    return [
        "Over √dim, means over samples. Where η is longer than the distance, the pull-back goes past the model's mean. "
        "overshoots: per cent of the samples in which it does. Arms of the first section; distances.csv has all.",
        as_markdown(shown.rename(columns={DISTANCE: "‖x′−μ‖/√dim", ETA: "η/√dim"}), ".4f"),
        f"Arms that overshoot anywhere:\n\n{flagged}" if flagged else "No arm overshoots anywhere.",
    ]


def _where(own: pd.DataFrame) -> str:
    over = own[own[OVERSHOOT] > 0]
    return ", ".join(
        f"{model} in step{'s' if len(steps) > 1 else ''} {ranges_text(steps.step)}"
        for model, steps in over.groupby("model", sort=False)
    )


def _curves(curves: pd.DataFrame) -> str:
    shown = curves[["auxiliary", "target", "k"]].assign(**in_per_cent(curves, SHOWN))
    about = "The auxiliary alone for k steps, then the target from its state; and the converse. Per cent."
    return f"{about}\n\n{as_markdown(shown, '.1f')}"


def _strata(strata: pd.DataFrame) -> str:
    shown = strata[["T", "of", "method", "stratum", "value", "units", "layouts"]].assign(
        target=100 * strata.target_right,
        aggregate=100 * strata.method_right,
        gain=bounds_texts(strata, "gain", "simultaneous_low", "simultaneous_high"),
    )
    about = (
        "Gain over the target alone, in points, of instances (place and colour) and of interactions (both ends and the "
        "action) by what the auxiliary alone made of the same one: of an interaction, whether both its ends are right. "
        "The intervals hold for all rows of a method and of a kind of unit at once. overlap: the largest share of the "
        "smaller box in common with another box. The auxiliary alone is another sample than the auxiliary in the "
        "aggregate."
    )
    return f"{about}\n\n{as_markdown(shown)}"

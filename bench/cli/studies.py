"""Commands that try settings, of methods and of models that were never combined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from amdm.output import JsonOption, tell
from bench.cli import options as opt
from bench.job.seeds import seeds_of
from bench.workers.processes import worker_count

if TYPE_CHECKING:  # pandas comes with it
    from bench.report.text import Written
    from bench.studies.trials import StudyRun


def tune(
    models: Annotated[str, Option(help="models, with commas")] = "interactdiffusion,migc",
    steps: Annotated[str, Option(help="numbers of denoising steps T, with commas")] = "20",
    guidances: Annotated[str, Option(help="guidance scales, with commas")] = "2,3,4.5,6",
    limit: Annotated[int, Option(help="layouts of the tuning set")] = 200,
    to: Annotated[Path, Option(help="the table (CSV)")] = Path("runs/tuning.csv"),
    workers: opt.WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure T and guidance of single mini models on the set mini-tune, which no result is reported on.

    Example: amdm-bench tune --models migc --steps 10,20,30 --guidances 4.5 --limit 40
    """
    from bench.report.text import write_table
    from bench.studies.tuning_combined import tune as measure

    scales = opt.numbers(guidances, "guidances")
    table = measure("mini", opt.names(models), opt.integers(steps, "steps"), scales, limit, worker_count(workers))
    write_table(to, table, decimals=4)
    tell(table.to_string(index=False), {"table": to, "rows": table}, as_json)


def tune_combined(
    trials: Annotated[int, Option(help="settings tried of each row, at most 20", min=1, max=20)] = 12,
    limit: Annotated[int, Option(help="layouts of the tuning set")] = 100,
    seed: Annotated[int, Option(help="of the choice of settings", min=0)] = 0,
    to: Annotated[Path, Option(help="every trial (CSV)")] = Path("reports/combined/tuning.csv"),
    presets: Annotated[
        Path | None, Option(help="the best of each row, as presets; by default where presets are read from")
    ] = None,
    keep: opt.KeepOption = Path("runs/tune-combined"),
    workers: opt.WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose settings of the combined table's rows on the set mini-combined-tune: as many trials for each row.

    Example: amdm-bench tune-combined --trials 12 --limit 100
    """
    from amdm.presets.profile import tuned_path
    from bench.report.text import write_table
    from bench.studies.tuning_combined import tune_combined as measure

    presets = presets or tuned_path("mini")
    with opt.resumable():
        table, chosen = measure("mini", trials, limit, seed, worker_count(workers), keep)
    write_table(to, table, decimals=4)
    opt.write_file(presets, chosen.encode())
    best = table.groupby("row", sort=False).head(1)
    text = f"{best.to_string(index=False)}\ntrials: {to}\npresets: {presets}"
    tell(text, {"table": to, "presets": presets, "best": best}, as_json)


def hand_over(
    target: Annotated[str, Option(help="the model that goes on")] = "interactdiffusion",
    auxiliaries: Annotated[str, Option(help="models that begin, with commas")] = "migc,ip-adapter",
    steps: Annotated[
        str, Option(help="numbers k of steps before the target goes on, with commas")
    ] = "0,1,2,3,4,6,8,10,12,16,20",
    layouts: Annotated[str, Option(help="a layout set by name, or a file")] = "mini-combined-tune",
    limit: Annotated[int, Option(help="layouts in all, balanced over levels")] = 100,
    to: Annotated[Path, Option(help="folder for the tables")] = Path("reports/combined"),
    keep: opt.KeepOption = Path("runs/hand-over"),
    workers: opt.WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand-over curves of mini models: the auxiliary draws k steps, then the target goes on; each property measured.

    Example: amdm-bench hand-over --auxiliaries migc --steps 0,3,10,20 --limit 25
    """
    from bench.report.text import write_study
    from bench.studies.ablation import hand_over as measure
    from bench.studies.ablation import hand_over_markdown

    study = _study(layouts, limit, workers, keep)
    with opt.resumable():
        table = measure(study, target, opt.names(auxiliaries), opt.integers(steps, "steps"))
    page = hand_over_markdown(table)
    write_study(to, "hand_over", page, {"hand_over": table})
    tell(page, {"table": to / "hand_over.csv", "rows": table}, as_json)


def compositions(
    models: Annotated[str, Option(help="of every composition, with commas; the first is the target")] = (
        "interactdiffusion,migc,ip-adapter"
    ),
    steps: Annotated[int, Option(help="denoising steps T", min=2, max=100)] = 20,
    trials: Annotated[int, Option(help="settings tried of each row, at most 12", min=1, max=12)] = 6,
    tune_limit: Annotated[int, Option(help="layouts that settings are chosen on", min=1)] = 50,
    limit: opt.LimitOption = None,
    seeds: opt.SeedsOption = "0",
    seed: Annotated[int, Option(help="of the choice of settings", min=0)] = 0,
    groups: Annotated[
        str | None, Option(help="of evaluations, with commas: T + 4, 1.5 T, 2 T, more; all by default")
    ] = None,
    to: Annotated[Path, Option(help="folder for the tables")] = Path("reports/compositions"),
    keep: opt.KeepOption = Path("runs/compositions"),
    workers: opt.WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every composition, tuned on mini-combined-tune with as many trials, then measured once on mini-combined.

    Rows are grouped by evaluations a picture: T + 4, 1.5 T, 2 T, more. A composition has a row in each group that it
    can reach, and its window is as long as the group allows.

    Examples: amdm-bench compositions --limit 100 --trials 6

    amdm-bench compositions --models interactdiffusion,migc --to reports/compositions-pair
    """
    from bench.studies.compositions import LAYOUTS, TUNING_SET, Options, compare_compositions

    tuning, reporting = (
        _study(TUNING_SET, tune_limit, workers, keep),
        _study(LAYOUTS, limit, workers, keep, seeds),
    )
    options = Options(opt.names(models), steps, trials, seed, () if groups is None else opt.names(groups))
    with opt.resumable():
        found = compare_compositions(tuning, reporting, options, to)
    _tell(found, to, "compositions.md, joint.csv, contrasts.csv, trials.csv, chosen.yaml", as_json)


def sweep(
    config: Annotated[Path, Option(help="what is tried, on what, and how (YAML)")],
    out: Annotated[Path | None, Option(help="folder of what is measured; by default runs/sweep-<digest>")] = None,
    reports: opt.ReportsOption = Path("reports"),
    workers: opt.WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try settings of one method on layouts for tuning: a grid, or a search by Optuna; then confirm the best on others.

    docs/compositions.md has the form of the file. Run again, it goes on.

    Example: amdm-bench sweep --config examples/sweep.yaml
    """
    from bench.studies.sweep import sweep as measure
    from bench.studies.sweep import sweep_name
    from bench.studies.sweep_config import SweepConfig

    asked = SweepConfig.read(config)
    folder = out or Path("runs") / sweep_name(asked)
    report = reports / folder.resolve().name
    with opt.resumable():
        found = measure(asked, folder, report, worker_count(workers))
    _tell(found, report, "sweep.md, trials.csv, trials.parquet, pareto.csv, confirm.csv", as_json)


def ablation(
    steps: Annotated[str, Option(help="numbers of denoising steps T, with commas")] = "10,20,50",
    etas: Annotated[
        str, Option(help="lengths of the pull-back, η/√dim, of 0 or more, with commas")
    ] = "0,0.1,0.2,0.3,0.4,0.5",
    weights: Annotated[
        str, Option(help="the target's coefficient w in the mix, in [0, 1], with commas")
    ] = "0,0.25,0.5,0.7071,0.85,1",
    layouts: Annotated[str, Option(help="a layout set by name, or a file")] = "mini-combined",
    limit: Annotated[int, Option(help="layouts in all, balanced over levels")] = 50,
    seeds: opt.SeedsOption = "0",
    to: Annotated[Path, Option(help="folder for the tables")] = Path("reports/ablation"),
    keep: opt.KeepOption = Path("runs/ablation"),
    workers: opt.WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """What of the aggregation acts: the paper and the authors' code, one difference at a time and all; η, s and w.

    With distances to the means and every overshoot by step, hand-over curves, and where the gain is.

    Example: amdm-bench ablation --steps 20 --limit 25
    """
    from bench.studies.ablation import Options
    from bench.studies.ablation import ablation as measure

    study = _study(layouts, limit, workers, keep, seeds)
    options = Options(opt.integers(steps, "steps"), opt.numbers(etas, "etas"), opt.numbers(weights, "weights"))
    with opt.resumable():
        found = measure(study, options, to)
    _tell(found, to, "ablation.md, arms.csv, distances.csv, hand_over.csv, strata.csv", as_json)


def _study(layouts: str, limit: int | None, workers: int | None, keep: Path, seeds: str = "0") -> StudyRun:
    from bench.layouts.named import load_layouts
    from bench.studies.trials import StudyRun

    every = load_layouts(layouts)
    return StudyRun(every if limit is None else every.subset(limit), worker_count(workers), seeds_of(seeds), keep)


def _tell(found: Written, folder: Path, files: str, as_json: bool) -> None:
    """The page and where its tables are. files: names with commas."""
    paths = [folder / name for name in files.split(", ")]
    tell(f"{found.page}\ntables: {folder}/{files}", {**found.tables, "files": paths}, as_json)


def advise(
    models: Annotated[str, Argument(help="two or three, with commas, the target first; or a preset of several")],
    layouts: Annotated[str, Option(help="a layout set by name, or a file; its first layouts are the probes")],
    limit: Annotated[int, Option(help="probes, at most 24, balanced over levels")] = 20,
    confirm: Annotated[
        str | None, Option(help="layouts of the confirming run; by default what the probes leave of theirs")
    ] = None,
    confirm_limit: Annotated[
        int, Option(help="of the confirming run, rounded up to a multiple of 5, balanced over levels")
    ] = 100,
    change: Annotated[
        list[str] | None,
        Option("--set", help="settings.<model>.<field>=<value>, for example guidance; repeatable"),
    ] = None,
    to: Annotated[Path, Option(help="folder for the advice")] = Path("reports/advice"),
    keep: opt.KeepOption = Path("runs/advise"),
    workers: opt.WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose how mini models draw together, from a few layouts, with reasons; measure the choice on others.

    Single models, hand-over curves (the window), distances to the means (η), then compositions at equal cost.

    Example: amdm-bench advise migc,ip-adapter --layouts mini-combined-tune --confirm mini-combined
    """
    from bench.report.advice import FILES
    from bench.studies.advise import advise as measure

    with opt.resumable():
        found = measure(
            models,
            layouts,
            confirm=confirm,
            limit=limit,
            confirm_limit=confirm_limit,
            overrides=change or (),
            out=to,
            keep=keep,
            workers=worker_count(workers),
        )
    files = [to / name for name in FILES]
    tell(f"{found}\nadvice: {', '.join(map(str, files))}", {**found.document(), "files": files}, as_json)

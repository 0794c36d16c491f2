"""Advice for models that were never combined: a fixed procedure on a few layouts, confirmed once on others.

Single models; hand-over curves, which choose the window; distances to the means, which choose η; a short list of
compositions at equal cost. Every stage is measured on the same layouts and noise, and only rules choose
(:mod:`bench.studies.advise_rules`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from amdm.errors import InputError
from amdm.presets.settings import MethodSettings
from bench.cocomig.intervals import simultaneous
from bench.cocomig.metrics import paired
from bench.generators.pull_back import DISTANCE
from bench.report import advice as report
from bench.report.ablation import distances_by_step
from bench.report.joint import SHOWN, calls_of
from bench.report.trial_tables import Tables
from bench.studies import advise_rules as rules
from bench.studies.ablation import handing, windows
from bench.studies.settings import Method, as_preset, presets_file
from bench.studies.trials import StudyRun, averages, identity, run_trials, table_info
from bench.workers.processes import worker_count

ADVISED = "as advised"
DEFAULT = "the published setting"
ALONE, LETTERS, LISTED = "single models", "noise and η of the letter", "compositions"


def advise(
    models: str | Sequence[str],
    layouts: str,
    *,
    confirm: str | None = None,
    limit: int = 20,
    confirm_limit: int | None = 100,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    keep: Path | str | None = None,
    workers: int = 1,
) -> report.Advice:
    """Choose how two or three mini models draw together, from at most 24 layouts; measure the choice on others.

    Args:
        models: of the mini profile, the target first: a list, names with commas, or a preset of several models, whose
            settings of its models are taken.
        layouts: a layout set by name, or a file. limit: probes, the first of the set, balanced over levels; 1 to 24.
        confirm: the set of the confirming run; None takes what the probes leave of theirs. confirm_limit: layouts of
            it, rounded up to a multiple of 5; None takes all.
        overrides: ``"settings.<model>.<field>=<value>"``, for example guidance.
        out: folder of advice.md, advice.json and preset.yaml; None writes nothing. keep: folder in which what is
            measured is kept, so that the same call goes on where it was stopped. workers: processes.

    Raises:
        InputError: before anything is drawn, naming the argument: models that the profile does not have, a layout that
            is both a probe and in the confirming run, words that the judge cannot read, or conditions that are missing.
            On the way, a model that draws nothing finite on the probes.

    >>> from bench import advise
    >>> print(advise("stable_diffusion,ip-adapter", "mini-combined-tune", limit=5))  # doctest: +SKIP
    """
    worker_count(workers)
    request = rules.Request.of(models, layouts, limit, confirm, confirm_limit, overrides)
    kept = None if keep is None else Path(keep)
    advice = _advice(
        request,
        StudyRun(request.probes, workers, keep=kept, profile=rules.PROFILE),
        StudyRun(request.confirming, workers, keep=kept, profile=rules.PROFILE),
    )
    if out is not None:
        about = f"Advised from {len(request.probes)} layouts of {layouts}, by `{advice.probes.command}`."
        report.write_advice(Path(out), advice, presets_file({advice.name: advice.method}, about))
    return advice


def _advice(request: rules.Request, study: StudyRun, confirming: StudyRun) -> report.Advice:
    probes, order = Probes(request, study), rules.order_of(request.probes, request.models)
    singles = probes.measure({name: request.method([name]) for name in request.models}, ALONE)
    _check_drawn(singles, len(request.probes))
    curves = hand_over_curves(probes, singles)
    window = rules.choose_window(curves, order)
    letters = choose_letter(probes, window, order)
    listed = choose_listed(probes, window, letters, singles, order)
    confirmed, gains, spent = _confirm(request, listed.method, confirming, order)
    cost = sum(probes.settings(listed.method).composition.evaluations(len(request.models), request.steps))
    stages = {ALONE: singles, LETTERS: letters.tried, LISTED: listed.tried}
    return report.Advice(
        models=request.models,
        name=f"{'+'.join(request.models)}@advised",
        method=listed.method,
        overrides=as_overrides(listed.method),
        order=tuple(order),
        unread=request.unread,
        evaluations=cost,
        alone=request.steps,
        spent={"probes": probes.spent, "confirming": spent},
        reasons=(
            report.about_singles(singles, request.models[0], order),
            report.about_window(curves, window.first_step, window.end, window.metric),
            letters.reason,
            *listed.reasons,
            report.about_cost(cost, request.steps, probes.spent),
        ),
        curves=curves,
        distances=letters.distances,
        tried=pd.concat([shown_of(one).assign(stage=stage) for stage, one in stages.items()], ignore_index=True),
        confirmed=confirmed,
        gains=gains,
        probes=table_info(study, list(listed.tried.index), "Advice"),
        confirming=table_info(confirming, list(confirmed["method"]), report.CONFIRMING),
    )


def _check_drawn(table: pd.DataFrame, count: int) -> None:
    """Raise InputError for a row of which no picture is finite: there is nothing to judge, and no distance."""
    if none := [name for name in table.index if table.failed[name] == count]:
        raise InputError(f"none of the {count} probe pictures of {none[0]} is finite", field="models")


def _confirm(
    request: rules.Request, method: Method, study: StudyRun, order: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Metrics by method, gains, and guided calls. The best single model is the best of this run."""
    methods = {ADVISED: method, **{name: request.method([name]) for name in request.models}}
    methods[DEFAULT] = request.method(request.models, request.published)
    settings = {name: as_preset(request.presets, one) for name, one in methods.items()}
    tables = run_trials(study, settings, report.CONFIRMING).without(request.unread)
    table = averages(tables, list(settings))
    best = rules.best_of(table.loc[list(request.models)], order)
    against = {"the target alone": request.models[0], "the best single model": best, DEFAULT: DEFAULT}
    drawn = {identity(settings[name]): tables.samples[tables.samples.method == name] for name in settings}
    spent = sum(int(calls_of(one).sum()) for one in drawn.values())
    return table.reset_index(names="method"), gains_of(tables, against, order), spent


def gains_of(tables: Tables, against: Mapping[str, str], order: Sequence[str]) -> pd.DataFrame:
    """Of :attr:`bench.report.advice.Advice.gains`, for each metric; a pair without pictures has no row."""
    sums = tables.sums
    strict = simultaneous(len(set(against.values())))
    there = {why: other for why, other in against.items() if {ADVISED, other} <= set(sums.method)}
    rows = []
    for metric in order:
        for why, other in there.items():
            found = paired(sums, ADVISED, other, strict)[metric]
            row: dict[str, Any] = {"metric": metric, "against": why, "method": ADVISED, "other": other}
            row |= {"difference": found.value, "low": found.low, "high": found.high}
            rows.append(row | {"verdict": report.verdict_of(found.low, found.high)})
    return pd.DataFrame(rows)


def as_overrides(method: Method) -> tuple[str, ...]:
    """A method as ``--set`` takes it, on a preset of any single model.

    >>> as_overrides({"models": ["migc"], "ignores": [], "settings": {"migc": {"guidance_scale": 3.0}}})
    ('models=["migc"]', 'ignores=[]', 'settings.migc.guidance_scale=3.0')
    """
    settings = method.get("settings", {})
    own = [f"settings.{name}.{field}={json.dumps(v)}" for name, one in settings.items() for field, v in one.items()]
    return (*(f"{name}={json.dumps(value)}" for name, value in method.items() if name != "settings"), *own)


class Probes:
    """Settings on the probe layouts: each is drawn once, and its guided calls are counted."""

    def __init__(self, request: rules.Request, study: StudyRun) -> None:
        self.request, self.study = request, study
        self._rows: dict[str, pd.Series] = {}
        self._samples: dict[str, pd.DataFrame] = {}

    @property
    def spent(self) -> int:
        """Guided calls of all that was measured."""
        return sum(int(calls_of(one).sum()) for one in self._samples.values())

    def measure(self, methods: Mapping[str, Method], about: str) -> pd.DataFrame:
        """Metrics (fractions), evaluations and failed pictures of each, by name (the index)."""
        own = {name: identity(self.settings(one)) for name, one in methods.items()}
        new = {own[name]: self.settings(one) for name, one in methods.items() if own[name] not in self._rows}
        if new:
            tables = run_trials(self.study, new, about).without(self.request.unread)
            for key, row in averages(tables, list(new)).iterrows():
                self._rows[str(key)] = row
                self._samples[str(key)] = tables.samples[tables.samples.method == key]
        return pd.DataFrame([self._rows[key] for key in own.values()], index=list(own))

    def distances(self, method: Method) -> pd.DataFrame:
        """Of :func:`bench.report.ablation.distances_by_step`; of a method that was measured."""
        return distances_by_step(self._samples[identity(self.settings(method))])

    def settings(self, method: Method) -> MethodSettings:
        """As the presets read it."""
        return as_preset(self.request.presets, method)


class LetterChoice(NamedTuple):
    """What the third stage chose, and why."""

    eta: list[float]
    noise: str
    tried: pd.DataFrame
    distances: pd.DataFrame
    reason: str


class ListChoice(NamedTuple):
    """What the fourth stage chose, and why."""

    method: Method
    tried: pd.DataFrame
    reasons: list[str]


def hand_over_curves(probes: Probes, singles: pd.DataFrame) -> pd.DataFrame:
    """Each auxiliary for the first k steps, then the target: columns auxiliary, k, metrics, evaluations.

    Every model starts from the noise that it has alone, so that k = 0 and k = T are the single models, which are known.
    """
    request = probes.request
    target, *auxiliaries = request.models
    inside = [k for k in windows(request.steps, 0) if k < request.steps]
    methods = {f"{name} {k}": request.method((target, name), handing(k)) for name in auxiliaries for k in inside}
    measured = probes.measure(methods, "hand over")
    rows = []
    for name in auxiliaries:
        points = [(0, singles.loc[target]), *((k, measured.loc[f"{name} {k}"]) for k in inside)]
        for k, row in (*points, (request.steps, singles.loc[name])):
            rows.append(
                {"auxiliary": name, "k": k, **row[metrics_of(singles)].to_dict(), "evaluations": row.evaluations}
            )
    return pd.DataFrame(rows)


def choose_letter(probes: Probes, window: rules.Window, order: Sequence[str]) -> LetterChoice:
    """The letter with either noise, at η 0 and half-way to the means."""
    request, published = probes.request, probes.request.published
    zero = [0.0] * len(request.models)

    def method(eta: Sequence[float], noise: str) -> Method:
        return request.method(request.models, rules.letter(window, rules.EVEN, eta, noise))

    tried = {(noise, "0"): (zero, noise) for noise in rules.NOISE}
    _check_drawn(probes.measure({noise: method(zero, noise) for noise in rules.NOISE}, LETTERS), len(request.probes))
    distances = {noise: probes.distances(method(zero, noise)) for noise in rules.NOISE}
    for noise in rules.NOISE:
        eta = rules.half_way(distances[noise], request.models)
        tried[noise, "/".join(f"{one:g}" for one in eta)] = (eta, noise)
    names = {f"{noise} noise, η {text}": own for (noise, text), own in tried.items()}
    table = probes.measure({name: method(*own) for name, own in names.items()}, LETTERS)
    chosen = rules.best_of(table, order)
    far = pd.concat([one.assign(noise=noise) for noise, one in distances.items()], ignore_index=True)
    far = far[["noise", "step", "model", DISTANCE]]
    theirs = dict(zip(request.models, published["eta"], strict=True))
    return LetterChoice(*names[chosen], table, far, report.about_eta(far, table, chosen, order, theirs))


def choose_listed(
    probes: Probes, window: rules.Window, letters: LetterChoice, singles: pd.DataFrame, order: Sequence[str]
) -> ListChoice:
    """The short list, and the authors' default where it costs no more."""
    request, count = probes.request, len(probes.request.models)
    compositions = rules.short_list(window, letters.eta, letters.noise, request.published, request.steps)
    most, default = rules.most_of(window, count, request.steps), request.method(request.models, request.published)
    methods = {name: request.method(request.models, one) for name, one in compositions.items()}
    if sum(probes.settings(default).composition.evaluations(count, request.steps)) <= most:
        methods[DEFAULT] = default
    tried = probes.measure(methods, LISTED)
    chosen, best = rules.best_of(tried, order), rules.best_of(singles, order)
    reasons = [
        report.about_choice(tried, chosen, order, most),
        report.about_single(tried.to_dict("index")[chosen], best, singles.to_dict("index")[best], order),
    ]
    return ListChoice(methods[chosen], tried, reasons)


def metrics_of(table: pd.DataFrame) -> list[str]:
    """Those that readers see, of the ones that the table has."""
    return [name for name in ("isr", *SHOWN) if name in table]


def shown_of(table: pd.DataFrame) -> pd.DataFrame:
    """What readers see of a stage: method, metrics, evaluations, failed pictures."""
    return table[[*metrics_of(table), "evaluations", "failed"]].reset_index(names="method")

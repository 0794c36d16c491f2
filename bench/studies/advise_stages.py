"""The measured stages of advice: hand-over curves, noise and η of the letter, and the short list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from amdm.presets.settings import MethodSettings
from bench.generators.pull_back import DISTANCE
from bench.report.ablation import distances_by_step
from bench.report.advice_reasons import about_choice, about_eta, about_single
from bench.report.joint import SHOWN, calls_of
from bench.studies.ablation import windows
from bench.studies.advise_request import Method, Request
from bench.studies.advise_rules import (
    EVEN,
    NOISE,
    Window,
    best_of,
    half_way,
    letter,
    most_of,
    short_list,
)
from bench.studies.hand_over import handing
from bench.studies.kept import identity
from bench.studies.settings import as_preset
from bench.studies.trials import StudyRun, averages, run_trials

DEFAULT = "the published setting"
ALONE, LETTERS, LISTED = "single models", "noise and η of the letter", "compositions"


class Probes:
    """Settings on the probe layouts: each is drawn once, and its guided calls are counted."""

    def __init__(self, request: Request, study: StudyRun) -> None:
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


def choose_letter(probes: Probes, window: Window, order: Sequence[str]) -> LetterChoice:
    """The letter with either noise, at η 0 and half-way to the means."""
    request, published = probes.request, probes.request.published
    zero = [0.0] * len(request.models)

    def method(eta: Sequence[float], noise: str) -> Method:
        return request.method(request.models, letter(window, EVEN, eta, noise))

    tried = {(noise, "0"): (zero, noise) for noise in NOISE}
    probes.measure({noise: method(zero, noise) for noise in NOISE}, LETTERS)
    distances = {noise: probes.distances(method(zero, noise)) for noise in NOISE}
    for noise in NOISE:
        eta = half_way(distances[noise], request.models)
        tried[noise, "/".join(f"{one:g}" for one in eta)] = (eta, noise)
    names = {f"{noise} noise, η {text}": own for (noise, text), own in tried.items()}
    table = probes.measure({name: method(*own) for name, own in names.items()}, LETTERS)
    chosen = best_of(table, order)
    far = pd.concat([one.assign(noise=noise) for noise, one in distances.items()], ignore_index=True)
    far = far[["noise", "step", "model", DISTANCE]]
    theirs = dict(zip(request.models, published["eta"], strict=True))
    return LetterChoice(*names[chosen], table, far, about_eta(far, table, chosen, order, theirs))


def choose_listed(
    probes: Probes, window: Window, letters: LetterChoice, singles: pd.DataFrame, order: Sequence[str]
) -> ListChoice:
    """The short list, and the authors' default where it costs no more."""
    request, count = probes.request, len(probes.request.models)
    compositions = short_list(window, letters.eta, letters.noise, request.published, request.steps)
    most, default = most_of(window, count, request.steps), request.method(request.models, request.published)
    methods = {name: request.method(request.models, one) for name, one in compositions.items()}
    if sum(probes.settings(default).composition.evaluations(count, request.steps)) <= most:
        methods[DEFAULT] = default
    tried = probes.measure(methods, LISTED)
    chosen, best = best_of(tried, order), best_of(singles, order)
    reasons = [
        about_choice(tried, chosen, order, most),
        about_single(tried.to_dict("index")[chosen], best, singles.to_dict("index")[best], order),
    ]
    return ListChoice(methods[chosen], tried, reasons)


def metrics_of(table: pd.DataFrame) -> list[str]:
    """Those that readers see, of the ones that the table has."""
    return [name for name in ("isr", *SHOWN) if name in table]


def shown_of(table: pd.DataFrame) -> pd.DataFrame:
    """What readers see of a stage: method, metrics, evaluations, failed pictures."""
    return table[[*metrics_of(table), "evaluations", "failed"]].reset_index(names="method")

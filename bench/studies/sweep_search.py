"""Optuna's search over a sweep's space: seeded, stored in SQLite, and going on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from amdm.errors import InputError
from bench.studies.sweep_config import Point, Range, SweepConfig

STORAGE = "optuna.sqlite"
POINT = "point"
"""The attribute of a stored trial that holds its point, JSON."""
Measure = Callable[[Sequence[Point]], Sequence[float | None]]
"""Points to what they reach; None where the settings are none or the pictures failed."""


def search(config: SweepConfig, folder: Path, measure: Measure) -> list[Point]:
    """Ask for points and measure them until there are ``config.trials``; returns all, in the order of asking.

    The draws of a trial depend on ``config.seed`` and how many were measured before it, so that a search that was
    stopped goes on as one that was not. What was asked for and not answered is asked for again.

    Raises:
        InputError: Optuna is not installed.
    """
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder.resolve() / STORAGE}",
        study_name=study_name(config),
        direction="maximize",
        load_if_exists=True,
    )
    states = optuna.trial.TrialState
    for one in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(one.number, state=states.FAIL)
    while (done := len(_answered(optuna, study))) < config.trials:
        study.sampler = optuna.samplers.TPESampler(seed=_seed(config.seed, done), constant_liar=True)
        asked = [study.ask() for _ in range(min(config.together, config.trials - done))]
        points = [{name: drawn(one, name, values) for name, values in config.space.items()} for one in asked]
        for one, point in zip(asked, points, strict=True):
            one.set_user_attr(POINT, json.dumps(point))
        for one, value in zip(asked, measure(points), strict=True):
            study.tell(one, value) if value is not None else study.tell(one, state=states.PRUNED)
    return [json.loads(one.user_attrs[POINT]) for one in _answered(optuna, study)]


def study_name(config: SweepConfig) -> str:
    """Of this sweep on these layouts and no other, so that several may share a folder."""
    return f"sweep-{config.digest[:16]}-{config.layout_set.hash[:16]}"


def drawn(trial: Any, name: str, values: Any) -> Any:
    """A value of one field: of a list one of its values, of a range a number or a list of numbers."""
    if not isinstance(values, Mapping):
        return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in values]))
    given = Range.model_validate(dict(values))
    if given.length is None:
        return _number(trial, name, given)
    return [_number(trial, f"{name}[{k}]", given) for k in range(given.length)]


def _number(trial: Any, name: str, given: Range) -> float | int:
    if given.whole:
        return int(trial.suggest_int(name, int(given.low), int(given.high), log=given.log))
    return round(float(trial.suggest_float(name, given.low, given.high, log=given.log)), 6)


def _answered(optuna: Any, study: Any) -> list[Any]:
    states = optuna.trial.TrialState
    return list(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED)))


def _seed(seed: int, done: int) -> int:
    import numpy as np

    return int(np.random.SeedSequence([seed, done]).generate_state(1)[0])


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("optuna is not installed; pip install 'amdm[tune]' has it", field="search") from None
    return optuna

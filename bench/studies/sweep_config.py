"""What a sweep is asked for: a YAML file, read field by field, no text of it evaluated; and Optuna's search over it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from amdm.errors import InputError, in_file, instead
from amdm.io.lock import lock_file
from amdm.io.strict import Count, Strict
from amdm.io.yaml import read_yaml
from amdm.presets.profile import Profile, load_profile
from amdm.presets.settings import MethodSettings, first_fault
from bench.cocomig.metrics import METRICS
from bench.io.sqlite_safety import check_untrusted_sqlite
from bench.job.conditions import check_conditions
from bench.job.seeds import check_seeds
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.studies.settings import check_apart, check_judged, check_metric

MAX_BYTES = 2**16
MAX_EVENTS = 5000
"""Of the file: bytes, and events of the YAML parser."""
MAX_POINTS = 2000
TUNING = "-tune"
COSTS = ("evaluations", "seconds", "kid", "failed")
"""What tables have beside metrics, and nobody wants more of."""
Point = dict[str, Any]
"""By field, as ``--set`` names it."""
STORAGE = "optuna.sqlite"
NOT_IN_A_URL = "?%{}"
"""Characters that the address of a storage does not keep as they are."""
POINT = "point"
"""The attribute of a stored trial that holds its point, JSON."""
Measure = Callable[[Sequence[Point]], Sequence[float | None]]
"""Points to what they reach; None where the settings are none or the pictures failed."""


class Range(Strict):
    """Numbers between bounds, for a search: a list of ``length`` of them where it is given, whole ones where ``whole``.

    log: drawn evenly over their logarithms. Numbers have six digits.
    """

    low: float
    high: float
    length: int | None = Field(default=None, ge=1, le=8)
    whole: bool = False
    log: bool = False


class Confirm(Strict):
    """The confirming run: other layouts than the sweep's, and how many."""

    layouts: str
    limit: int | None = Field(default=None, ge=1)
    seeds: tuple[Count, ...] = Field(default=(0,), strict=False, min_length=1, max_length=20)


class SweepConfig(Strict):
    """The fields of the file.

    method: a preset of the mini profile, whose fields ``space`` changes. set: changes of every trial, "field=value".
    space: for each field that ``--set`` takes a list of values, or a range (``search: optuna``). objective: the metric
    that decides; ties go to fewer evaluations. any_layouts: allows ``layouts`` whose name does not end in "-tune".
    trials, together: of Optuna's search, in all and asked for at once. seed: of its draws.
    """

    method: str
    layouts: str
    space: dict[str, Any] = Field(min_length=1, max_length=20)
    confirm: Confirm
    search: Literal["grid", "optuna"] = "grid"
    objective: str = "joint_interaction"
    set: tuple[str, ...] = Field(default=(), strict=False, max_length=50)
    limit: int | None = Field(default=None, ge=1)
    seeds: tuple[Count, ...] = Field(default=(0,), strict=False, min_length=1, max_length=20)
    any_layouts: bool = False
    trials: int = Field(default=20, ge=1, le=MAX_POINTS)
    together: int = Field(default=4, ge=1, le=64)
    seed: Count = 0

    @classmethod
    def read(cls, path: Path) -> SweepConfig:
        """From a file. Raises InputError naming the file and the field."""
        content = read_yaml(path, MAX_BYTES, MAX_EVENTS)
        if not isinstance(content, Mapping):
            raise InputError("must be a mapping of fields", file=path)
        try:
            config = cls.model_validate(dict(content))
        except ValidationError as error:
            raise first_fault(error, path, "", cls) from None
        with in_file(path):
            config.check()
        return config

    def check(self) -> None:
        """Raise InputError for what does not fit together; every point of a grid is tried as settings."""
        self._check_objective()
        for field, seeds in (("seeds", self.seeds), ("confirm.seeds", self.confirm.seeds)):
            check_seeds(seeds, field)
        for name, values in self.space.items():
            self._check_values(name, values)
        self._check_layouts()
        self._check_preset()
        if self.search == "grid":
            if (count := math.prod(len(values) for values in self.space.values())) > MAX_POINTS:
                raise InputError(f"has {count:,} points; a grid has at most {MAX_POINTS:,}", field="space")
            for point in self.grid():
                try:
                    self.settings(point)
                except InputError as error:
                    raise InputError(f"{point_text(point)}: {error}", field="space") from None

    def _check_objective(self) -> None:
        able = [name for name, one in METRICS.items() if one.higher_is_better]
        if self.objective in able:
            return
        less = self.objective in METRICS or self.objective in COSTS
        why = "of which less is better, and a sweep takes the most of its objective; " if less else ""
        raise InputError(f"is {self.objective[:80]!r}; {why}{instead(self.objective, able)}", field="objective")

    def _check_values(self, name: str, values: Any) -> None:
        field = f"space.{name}"
        if isinstance(values, list) and values:
            return
        if not isinstance(values, Mapping):
            raise InputError("must be a list of values, or a range with low and high", field=field)
        if self.search == "grid":
            raise InputError("is a range; a grid takes lists of values (search: optuna takes ranges)", field=field)
        try:
            found = Range.model_validate(dict(values))
        except ValidationError as error:
            raise first_fault(error, None, field, Range) from None
        if not found.low < found.high or (found.log and found.low <= 0):
            raise InputError("low must be below high, and above 0 with log", field=field)
        if not math.isfinite(found.high - found.low):
            raise InputError("high less low is no finite number", field=field)
        if found.whole and not (found.low.is_integer() and found.high.is_integer()):
            raise InputError("low and high must be whole numbers", field=field)

    def _check_layouts(self) -> None:
        if not self.layouts.endswith(TUNING) and not self.any_layouts:
            what = f"{self.layouts[:80]!r} is not a set for tuning (…{TUNING}); any_layouts: true allows it"
            raise InputError(what, field="layouts")
        check_apart(self.layout_set, self.confirm_set, "the layouts of the sweep", "confirm.layouts")
        for field, one in (("layouts", self.layout_set), ("confirm.layouts", self.confirm_set)):
            check_judged(one)
            check_metric(self.objective, one, field)

    def _check_preset(self) -> None:
        """With what set changes: the confirming run draws it beside the best trial."""
        try:
            preset = self.settings({})
        except InputError as error:
            raise InputError(f"with what set changes: {error}", field="method") from None
        own = {self.method: preset.models}, {self.method: preset.ignores}
        for one in (self.layout_set, self.confirm_set):
            check_conditions(one, *own, "another method, or set: [ignores=[…]]")

    @property
    def digest(self) -> str:
        """Of all that decides the order of trials, and the confirming run; more trials go on with fewer."""
        content = self.model_dump(mode="json", exclude={"trials"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @cached_property
    def layout_set(self) -> LayoutSet:
        """The layouts of the trials. Raises InputError."""
        return _layouts(self.layouts, self.limit, "layouts")

    @cached_property
    def confirm_set(self) -> LayoutSet:
        """The layouts of the confirming run. Raises InputError."""
        return _layouts(self.confirm.layouts, self.confirm.limit, "confirm.layouts")

    @cached_property
    def _presets(self) -> Profile:
        return load_profile("mini")

    def settings(self, point: Point) -> MethodSettings:
        """The method at a point. Raises InputError naming the field."""
        changes = [f"{name}={json.dumps(value)}" for name, value in point.items()]
        return self._presets.method(self.method, [*self.set, *changes])

    def grid(self) -> Iterator[Point]:
        """Every combination of the lists, the last field fastest."""
        for values in product(*self.space.values()):
            yield dict(zip(self.space, values, strict=True))


def point_text(point: Point) -> str:
    """On one line."""
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in point.items())


def _layouts(name: str, limit: int | None, field: str) -> LayoutSet:
    try:
        found = load_layouts(name)
    except InputError as error:
        raise error if error.file else InputError(error.what, field=field) from None
    return found if limit is None else found.subset(limit)


def search(config: SweepConfig, folder: Path, measure: Measure) -> list[Point]:
    """Ask for points and measure them until there are ``config.trials``; returns all, in the order of asking.

    The draws of a trial depend on ``config.seed`` and how many were measured before it, so that a search that was
    stopped goes on as one that was not. What was asked for and not answered is asked for again.

    Raises:
        InputError: Optuna is not installed, its storage cannot be opened or written (a full disk), or another process
            searches in this folder.
    """
    optuna = _optuna()
    with closing(lock_file(folder)), _one_line(optuna, folder / STORAGE):
        study = _stored(optuna, config, folder)
        states = optuna.trial.TrialState
        for one in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            study.tell(one.number, state=states.FAIL)
        while (done := len(_answered(optuna, study))) < config.trials:
            seed = int(np.random.SeedSequence([config.seed, done]).generate_state(1)[0])
            study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            asked = [study.ask() for _ in range(min(config.together, config.trials - done))]
            points = [{name: drawn(one, name, values) for name, values in config.space.items()} for one in asked]
            for one, point in zip(asked, points, strict=True):
                one.set_user_attr(POINT, json.dumps(point))
            for one, value in zip(asked, measure(points), strict=True):
                study.tell(one, value) if value is not None else study.tell(one, state=states.PRUNED)
        return [json.loads(one.user_attrs[POINT]) for one in _answered(optuna, study)]


@contextmanager
def _one_line(optuna: Any, path: Path) -> Iterator[None]:
    """What goes wrong with the storage inside, as an error that names its file."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        what = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"cannot be written: {what}", file=path) from error


def _stored(optuna: Any, config: SweepConfig, folder: Path) -> Any:
    """The study of this sweep, in the folder's storage."""
    from sqlalchemy.exc import SQLAlchemyError  # which comes with Optuna

    path = folder.resolve() / STORAGE
    if strange := [one for one in NOT_IN_A_URL if one in str(path)]:
        raise InputError(f"has {strange[0]!r} in its name, which Optuna's storage cannot have", file=folder.resolve())
    check_untrusted_sqlite(path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(
            storage=f"sqlite:///{path}", study_name=study_name(config), direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:  # the last: of another version
        what = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"cannot be opened as Optuna's storage ({what}); delete it", file=path) from error


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
    value = float(f"{trial.suggest_float(name, given.low, given.high, log=given.log):.6g}")
    return min(max(value, given.low), given.high)


def _answered(optuna: Any, study: Any) -> list[Any]:
    states = optuna.trial.TrialState
    return list(study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED)))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("optuna is not installed; pip install 'amdm[tune]' has it", field="search") from None
    return optuna

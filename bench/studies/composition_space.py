"""What is tried of each composition, at equal evaluations a picture: the stated lists, and drawing from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ValidationError

from amdm.compositions.composition import Composition
from amdm.compositions.one_state import OneState
from amdm.compositions.registry import COMPOSITIONS, composition_type
from amdm.compositions.window import Window
from amdm.errors import InputError
from amdm.presets.profile import Profile
from bench.layouts.layout_set import LayoutSet
from bench.studies.settings import with_models
from bench.studies.tuning_combined import WEIGHTS, draw

FIRST = "T + 4"
MORE = "more"
"""Names of groups: the first holds the published window of two models (T + 3 by the paper, T + 4 by the code)."""
GUIDANCE = (0.5, 0.75, 1.0, 1.5)
"""Factors of every model's guidance in the profile; drawn for each composition."""
MAX_DRAWS = 2000
"""After so many a list has no further settings that cost what they may."""
BASE = "stable_diffusion"
SPREAD = (0.5, 1.0, 2.0)
STARTS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Space:
    """The values of a composition's fields.

    source: the first trial's: about as the composition's source or a preset of the profile has it (one number stands
    for all models), and plain where neither says. once: of the composition. auxiliaries, models: of each auxiliary, and
    of each model. fitted: s is no choice, but as large as the evaluations allow. base: the method has the base as its
    last model.
    """

    source: Mapping[str, Any]
    once: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    auxiliaries: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    models: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fitted: bool = True
    base: bool = False


ETA: dict[str, tuple[Any, ...]] = {"eta": (None, 0.1, 0.2, 0.35)}
"""Over √dim, of all models alike; None: no pull-back, which draws what η = 0 would."""
NOISE = ("shared", "separate")
MIX: dict[str, tuple[Any, ...]] = {"weights": WEIGHTS}
PLAIN: dict[str, Any] = {"first_step": 0, "weights": 0.5}
SPACES: dict[str, Space] = {
    "paper": Space(
        {**PLAIN, "initial_noise": "shared", "mix_norm": "as_is", "eta": 0.35},
        {"first_step": STARTS, "initial_noise": NOISE, "mix_norm": ("as_is", "preserving"), **ETA},
        MIX,
    ),
    "official": Space(
        {**PLAIN, "first_step": 1, "initial_noise": "separate", "eta": 0.35},
        {"first_step": STARTS[1:], "initial_noise": NOISE, **ETA},
        MIX,
    ),
    "slerp": Space(PLAIN, {"first_step": STARTS}, MIX),
    "true-slerp": Space(PLAIN, {"first_step": STARTS}, MIX),
    "lol": Space(
        {**PLAIN, "initial_noise": "separate", "eta": None},
        {"first_step": STARTS, "initial_noise": NOISE, **ETA},
        MIX,
    ),
    "switch": Space({"first_step": 0, "s": 4}, {"first_step": STARTS, "s": (2, 3, 4, 6, 8, 12)}, fitted=False),
    "alternate": Space(
        {"first_step": 0, "s": None, "tau": 1},
        {"first_step": STARTS, "s": (None, 6, 10, 15), "tau": (1, 2, 3, 5)},
        fitted=False,
    ),
    "mean-epsilon": Space({"first_step": 0, "weights": 1.0}, {"first_step": STARTS}, models={"weights": SPREAD}),
    "composable": Space({"first_step": 0, "weights": 1.0}, {"first_step": STARTS}, models={"weights": (0.5, 1.0, 1.5)}),
    "projective": Space(
        {"first_step": 0, "weights": 1.0},
        {"first_step": STARTS},
        models={"weights": (0.5, 1.0, 1.5)},
        base=True,
    ),
    "multidiffusion": Space({"first_step": 0}, {"first_step": STARTS}),
    "superdiff-and": Space({"first_step": 0}, {"first_step": STARTS}),
    "fkc": Space(
        {"first_step": 0, "particles": 2, "clamp": 1.0, "gamma": 0.5},
        {"first_step": STARTS, "particles": (2, 4), "clamp": (None, 1.0)},
        models={"gamma": (0.33, 0.5, 1.0)},
    ),
}
"""What is tried of each composition of the registry."""
assert SPACES.keys() == COMPOSITIONS.keys(), "a composition without a list of settings"


def bounds(steps: int) -> dict[str, float]:
    """The most evaluations a picture in each group, ascending, for T = ``steps``.

    >>> bounds(20)
    {'T + 4': 24, '1.5 T': 30.0, '2 T': 40, 'more': inf}
    """
    found = {FIRST: steps + 4, "1.5 T": 1.5 * steps, "2 T": 2 * steps, MORE: math.inf}
    return dict(sorted(found.items(), key=lambda one: one[1]))


def group_of(evaluations: float, steps: int) -> str:
    """The group of a method that costs so much.

    >>> [group_of(count, 20) for count in (20, 24, 26, 40, 60)]
    ['T + 4', 'T + 4', '1.5 T', '2 T', 'more']
    """
    return next(name for name, most in bounds(steps).items() if evaluations <= most)


def candidates(
    presets: Profile,
    semantics: str,
    models: tuple[str, ...],
    layout_set: LayoutSet,
    steps: int,
    group: str,
    trials: int,
    seed: int,
) -> list[dict[str, Any]]:
    """``trials`` different settings of a composition that cost what the group allows, as a file of presets has them.

    The first is the source's, with the profile's guidance, where the group allows it; the others are drawn. Each mixes
    at least two models. The same ones for the same seed, and the first ones of more. Empty where the composition costs
    less or more than the group's whatever its settings.

    Raises:
        InputError: the stated lists hold fewer.
    """
    space = SPACES[semantics]
    everyone = (*models, BASE) if space.base else models
    rng = np.random.default_rng([seed, steps, *f"{semantics}/{group}/{'+'.join(everyone)}".encode()])
    common, found, before = with_models(everyone, layout_set), list[dict[str, Any]](), list[Any]()
    for fields, factor in _source_and_draws(rng, semantics, len(models)):
        if len(found) == trials:
            break
        aggregation = _fitted(fields, space, len(everyone), steps, group)
        if not aggregation or _is_one_model(aggregation):
            continue
        if (own := (factor, essence(aggregation, steps))) in before:
            continue
        before.append(own)
        found.append({**common, "settings": _settings(presets, everyone, steps, factor), "aggregation": aggregation})
    if 0 < len(found) < trials:
        what = f"{trials} are asked for, and there are {len(found)} settings of {semantics} in the group {group}"
        raise InputError(what, field="trials")
    return found


def essence(aggregation: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Equal for two aggregations that draw the same pictures, but for rounding, however they are written.

    Of weights the coefficients that they make, of mean-epsilon's their shares; where one coefficient alone is not 0
    there is no norm to preserve. Without s the window has all steps.

    >>> essence({"semantics": "mean-epsilon", "weights": [2, 2]}, 20)
    {'semantics': 'mean-epsilon', 'first_step': 0, 's': 20, 'weights': [0.5, 0.5]}
    """
    composition = composition_type(aggregation["semantics"]).model_validate(aggregation)
    found = composition.model_dump()
    if isinstance(composition, Window):
        found["weights"] = [round(one, 6) for one in composition.config().mixing()]
        if sum(one != 0 for one in found["weights"]) == 1:
            found.pop("mix_norm", None)
    elif isinstance(composition, OneState):
        found["s"] = len(composition.window(steps))
    if aggregation["semantics"] == "mean-epsilon":
        found["weights"] = [round(one / sum(aggregation["weights"]), 6) for one in aggregation["weights"]]
    return found


def _is_one_model(aggregation: dict[str, Any]) -> bool:
    """Whether the weights leave the state of a single model, so that nothing is composed.

    >>> [_is_one_model({"semantics": "slerp", "s": 2, "weights": [0.5, one]}) for one in (0, 0.5)]
    [True, False]
    """
    composition = composition_type(aggregation["semantics"]).model_validate(aggregation)
    return isinstance(composition, Window) and sum(one != 0 for one in composition.config().mixing()) < 2


def _settings(presets: Profile, models: tuple[str, ...], steps: int, factor: float) -> dict[str, Any]:
    scales = {name: presets.models[name]["guidance_scale"] * factor for name in models}
    return {name: {"num_inference_steps": steps, "guidance_scale": scale} for name, scale in scales.items()}


def _source_and_draws(rng: np.random.Generator, semantics: str, models: int) -> Iterator[tuple[dict[str, Any], float]]:
    """Fields of a composition without a fitted s, and the factor of guidance: the source's, then draws."""
    space = SPACES[semantics]
    own = dict(space.source)
    for count, each in ((models - 1, space.auxiliaries), (models, space.models)):
        own |= {name: [own[name]] * count for name in each}
    yield _fields(semantics, own, models), 1.0
    for _ in range(MAX_DRAWS):
        yield _drawn(rng, semantics, models), draw(rng, GUIDANCE)


def _drawn(rng: np.random.Generator, semantics: str, models: int) -> dict[str, Any]:
    """Fields of a composition, without a fitted s."""
    space = SPACES[semantics]
    own = {name: draw(rng, values) for name, values in space.once.items()}
    for count, each in ((models - 1, space.auxiliaries), (models, space.models)):
        own |= {name: [draw(rng, values) for _ in range(count)] for name, values in each.items()}
    return _fields(semantics, own, models)


def _fields(semantics: str, own: dict[str, Any], models: int) -> dict[str, Any]:
    """What was chosen, as a file of presets has it: one η for all models, and none without a pull-back."""
    if "eta" in own:
        eta = own.pop("eta")
        own |= {"eta": [] if eta is None else [eta] * models, "eta_unit": "sqrt_dim"}
        if semantics != "lol":  # which has a pull-back where there is an eta
            own |= {"pull_back": eta is not None}
    return {"semantics": semantics, **{name: value for name, value in own.items() if value is not None}}


def _fitted(drawn: dict[str, Any], space: Space, models: int, steps: int, group: str) -> dict[str, Any]:
    """With the largest s whose evaluations the group allows; empty where there is none."""
    choices = range(steps, 0, -1) if space.fitted else (drawn.get("s"),)
    most = bounds(steps)[group]
    for s in choices:
        aggregation = drawn if s is None else {**drawn, "s": s}
        composition = _valid(aggregation, models, steps)
        if composition is not None and (count := sum(composition.evaluations(models, steps))) <= most:
            return aggregation if group_of(count, steps) == group else {}
    return {}


def _valid(aggregation: dict[str, Any], models: int, steps: int) -> Composition | None:
    try:
        composition = composition_type(aggregation["semantics"]).model_validate(aggregation)
        composition.check(models, steps)
    except (InputError, ValidationError):
        return None
    return composition

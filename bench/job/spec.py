"""What a run is asked for, every field checked before anything is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from amdm.errors import InputError
from amdm.plain_number import plain
from amdm.presets.profile import load_profile
from bench.job.batches import CEILING
from bench.job.conditions import check_conditions, check_slots, check_styles
from bench.job.seeds import MAX_SEEDS, check_seeds
from bench.layouts.layout_set import LayoutSet
from bench.layouts.vocabulary import MINI

MAX_SAMPLES = 1_000_000
LONGEST_NAME = 200
DEFAULT_BATCH = {"mini": 16, "paper": 4}
DEFAULT_LAYOUTS = {"mini": "mini", "paper": "coco-mig-amdm"}
EXTERNAL = "external"
"""The profile of external generators."""
IMAGES = "images"
"""The generator of pictures that were there before."""


def default_detector(layout_set: LayoutSet) -> str:
    """The detector of the mini world's categories, or of COCO's."""
    return "mini" if layout_set.vocabulary == MINI else "grounded-sam"


@dataclass(frozen=True)
class Job:
    """What is to be measured; every field is checked before anything is written.

    limit: layouts in all, rounded up to a multiple of 5 and balanced over levels; None takes all.
    overrides: ``"<field>=<value>"`` for every method (see :meth:`amdm.presets.profile.Profile.method`).
    device, dtype: of the models, as :meth:`amdm.model_set.LoadOptions.parse` reads them, "auto" resolved.
    generator: of the profile "external": ``module:function``, or "images" for pictures that were there.
    arguments: ``"<name>=<value>"`` with which the generator is built (:func:`bench.generators.function.load_callable`).
    digest: SHA-256 of the file that the function stands in, or of the pictures. It is taken when a command names them,
        and never from what a run folder names: reading a stranger's run must not import anything.
    detector: by name; None takes that of the layouts' world.
    shard: (i, n): only the i-th of n parts of the work (:func:`bench.job.batches.share`).
    """

    profile: str
    layouts: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    batch: int
    limit: int | None = None
    overrides: tuple[str, ...] = ()
    device: str = "cpu"
    dtype: str = "float32"
    shard: tuple[int, int] | None = None
    arguments: tuple[str, ...] = ()
    generator: str | None = None
    digest: str | None = None
    detector: str | None = None

    def __post_init__(self) -> None:
        for name in ("generator", "digest"):
            if (self.profile == EXTERNAL) != (getattr(self, name) is not None):
                raise InputError(f"goes with the profile {EXTERNAL} and no other", field=name)
        if not self.methods:
            raise InputError("names no method", field="methods")
        for name in ("batch", "limit"):
            object.__setattr__(self, name, _integer(getattr(self, name), name, or_none=name == "limit"))
        if self.limit is not None and self.limit <= 0:
            raise InputError(f"{self.limit} is not a positive number of layouts", field="limit")
        if self.limit is not None:  # levels are balanced: what is run is what is recorded
            object.__setattr__(self, "limit", 5 * -(-self.limit // 5))
        if self.generator is None:
            load_profile(self.profile).several(self.methods, self.overrides)
        elif CEILING in self.methods or len(self.methods) > 1:
            raise InputError(f"must be one name, and not {CEILING!r}", field="methods")
        if len(set(self.methods)) < len(self.methods):
            raise InputError("names a method twice", field="methods")
        check_seeds(self.seeds)
        if len(self.seeds) > MAX_SEEDS or max(self.seeds) >= 2**31:
            raise InputError(f"must be at most {MAX_SEEDS}, each less than 2**31", field="seeds")
        if not all(name.isprintable() and 0 < len(name) <= LONGEST_NAME for name in self.methods):
            raise InputError(f"must be printable, of at most {LONGEST_NAME} characters", field="methods")
        if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", self.device):
            raise InputError(f"{self.device!r} is neither cpu nor cuda", field="device")
        if not 1 <= self.batch <= 1024:
            raise InputError(f"{self.batch} is not between 1 and 1024", field="batch")

    def check_size(self, layouts: int) -> None:
        """Raise InputError where so many layouts make more pictures than one run may hold."""
        if layouts * len(self.methods) * len(self.seeds) > MAX_SAMPLES:
            raise InputError(f"more than {MAX_SAMPLES:,} pictures in one run; use several", field="seeds")

    def check_conditions(self, layout_set: LayoutSet) -> None:
        """Raise InputError for what the layouts ask for and a method would ignore, or the other way round."""
        if self.generator is None:
            methods = load_profile(self.profile).several(self.methods, self.overrides)
            models = {name: one.models for name, one in methods.items()}
            check_conditions(layout_set, models, {name: one.ignores for name, one in methods.items()})
            if self.profile == "mini":
                from amdm.mini.sizes import SLOTS  # late: with it come torch and transformers

                check_slots(layout_set, models, SLOTS)
        else:
            check_styles(layout_set)

    def loading(self) -> Any:
        """How the models are held."""
        from amdm.model_set import LoadOptions

        return LoadOptions.parse(self.profile, None, self.device, self.dtype)

    def weights(self) -> dict[str, str]:
        """SHA-256 of every file of weights as it is now; for external generators the recorded digest."""
        from amdm.profiles import weight_digests

        if self.generator is None or self.digest is None:
            return weight_digests(self.profile)
        return {self.generator: self.digest}

    def method_settings(self) -> dict[str, Any]:
        """All that decides what each method computes, by name, as plain JSON; empty for external generators."""
        if self.generator is not None:
            return {}
        methods = load_profile(self.profile).several(self.methods, self.overrides)
        return {name: one.describe() for name, one in methods.items()}


def _integer(value: Any, field: str, or_none: bool = False) -> Any:
    value = plain(value)
    if value is None and or_none:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"is {value!r}; it must be an integer", field=field)
    return value

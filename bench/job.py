"""The main job: methods over a layout set: generate, judge, time, tabulate. Run again, it goes on."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from amdm.config import load_profile
from amdm.errors import InputError
from amdm.files import make_folder
from bench import factories
from bench.detection.cache import CACHE_FILE
from bench.detection.registry import (
    RANDOM_REVISION,
    DetectorOptions,
    detector_facts,
    is_heavy,
    name_of,
)
from bench.generation import Group, generate, groups, share
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts
from bench.layouts.vocabulary import MINI
from bench.provenance import circumstances, environment
from bench.scoring import score
from bench.store import RunStore, read_run_info
from bench.tables import CEILING

Kind = TypeVar("Kind")
MOST_SEEDS = 1000
MOST_SAMPLES = 200_000
LONGEST_NAME = 200
DEFAULT_BATCH = {"mini": 16, "paper": 4}
DEFAULT_LAYOUTS = {"mini": "mini", "paper": "coco-mig-amdm"}
EXTERNAL = "external"
"""The profile of generators that are not ours."""

IMAGES = "images"
"""The generator of pictures that were there before."""


def usual_detector(layout_set: LayoutSet) -> str:
    """The judge of shapes, or that of COCO's categories."""
    return "mini" if layout_set.vocabulary == MINI else "grounded-sam"


@dataclass(frozen=True)
class Job:
    """What is to be measured; every field is checked before anything is written.

    limit: layouts in all, rounded up to a multiple of 5 and balanced over levels; None takes all.
    overrides: ``"<field>=<value>"`` for every method (see :meth:`amdm.config.Profile.method`).
    device, dtype: of the models, as :meth:`amdm.loading.Loading.parse` reads them, "auto" resolved.
    generator: of the profile "external": ``module:function``, or "images" for pictures that were there.
    digest: SHA-256 of the file that the function stands in, or of the pictures. It is taken when a command names them,
        and never from what a run folder names: reading a stranger's run must not import anything.
    detector: by name; None takes that of the layouts' world.
    shard: (i, n): only the i-th of n parts of the work (:func:`bench.generation.share`).
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
    generator: str | None = None
    digest: str | None = None
    detector: str | None = None

    def __post_init__(self) -> None:
        for name in ("generator", "digest"):
            if (self.profile == EXTERNAL) != (getattr(self, name) is not None):
                raise InputError(f"goes with the profile {EXTERNAL} and no other", field=name)
        if not self.methods:
            raise InputError("names no method", field="methods")
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
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise InputError("must be distinct integers of 0 or more", field="seeds")
        if len(self.seeds) > MOST_SEEDS or max(self.seeds) >= 2**31:
            raise InputError(f"must be at most {MOST_SEEDS}, each less than 2**31", field="seeds")
        if not all(name.isprintable() and 0 < len(name) <= LONGEST_NAME for name in self.methods):
            raise InputError(f"must be printable, of at most {LONGEST_NAME} characters", field="methods")
        if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", self.device):
            raise InputError(f"{self.device!r} is neither cpu nor cuda", field="device")
        if not 1 <= self.batch <= 1024:
            raise InputError(f"{self.batch} is not between 1 and 1024", field="batch")

    def layout_set(self) -> LayoutSet:
        """The layouts to be run."""
        whole = load_layouts(self.layouts)
        return whole if self.limit is None else whole.subset(self.limit)

    def work(self, layout_set: LayoutSet) -> list[Group]:
        """What is to be generated, true renderings of the mini world too. Raises InputError for an impossible shard."""
        if len(layout_set) * len(self.methods) * len(self.seeds) > MOST_SAMPLES:
            raise InputError(f"more than {MOST_SAMPLES:,} pictures in one run; use several", field="seeds")
        ceiling = [CEILING] if layout_set.vocabulary == MINI and self.generator != IMAGES else []
        work = groups(layout_set, self.methods, self.seeds, self.batch) + groups(
            layout_set, ceiling, self.seeds[:1], self.batch
        )
        return work if self.shard is None else share(work, self.shard)

    def loading(self) -> Any:
        """How the models are held."""
        from amdm.loading import Loading

        return Loading.parse(self.profile, None, self.device, self.dtype)

    def weights(self) -> dict[str, str]:
        """SHA-256 of every file of weights as it is now; for what is not ours the recorded digest."""
        from amdm.loading import weight_digests

        if self.generator is None or self.digest is None:
            return weight_digests(self.profile)
        return {self.generator: self.digest}

    def detector_name(self) -> str:
        """The detector asked for, else that of the layouts' world."""
        return self.detector or usual_detector(load_layouts(self.layouts))

    def is_heavy(self) -> bool:
        """Whether one process fills the machine, with full-size models or with its judge."""
        return self.profile == "paper" or is_heavy(self.detector_name())

    def method_settings(self) -> dict[str, Any]:
        """All that decides what each method computes, by name, as plain JSON; nothing of what is not ours."""
        if self.generator is not None:
            return {}
        methods = load_profile(self.profile).several(self.methods, self.overrides)
        return {name: one.describe() for name, one in methods.items()}

    def settings(self, layout_set: LayoutSet, judge: dict[str, Any]) -> dict[str, Any]:
        """All that decides the results, as plain JSON. ``judge``: the detector's facts."""
        return {
            **asdict(self),
            "layout_hash": layout_set.hash,
            "method_settings": self.method_settings(),
            "weights": self.weights(),
            "judge": judge,
            **environment(),
        }


@dataclass(frozen=True)
class Judge:
    """Which detector gave the verdicts (see :func:`bench.detection.registry.detector_facts`)."""

    name: str
    revision: str
    thresholds: dict[str, float] = field(default_factory=dict)
    dtype: str = "float32"

    def __str__(self) -> str:
        """As it stands under tables."""
        random = self.revision == RANDOM_REVISION
        return f"{self.name} {'with random weights, which measures nothing' if random else self.revision[:12]}"


@dataclass(frozen=True)
class Forced:
    """A setting under which a run went on with ``--force``, as JSON."""

    field: str
    before: str
    now: str


@dataclass(frozen=True)
class RunFacts:
    """What run.json must hold beside the fields of :class:`Job`."""

    layout_hash: str
    judge: Judge
    weights: dict[str, str]
    command: str = "amdm-bench"
    forced: tuple[Forced, ...] = ()


def read_run(folder: Path) -> tuple[Job, RunFacts]:
    """The job of a run folder.

    Raises:
        InputError: naming the field that run.json lacks, or that is not what it must be.
    """
    text = json.dumps(read_run_info(folder))
    return _validated(Job, text, folder / "run.json"), _validated(RunFacts, text, folder / "run.json")


def _validated(kind: type[Kind], text: str, path: Path) -> Kind:
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            raise cause.within(file=path) from None
        raise InputError(first["msg"], file=path, field=".".join(map(str, first["loc"]))) from None


def run_job(job: Job, folder: Path | None, reports: Path, workers: int, force: bool = False) -> tuple[Path, int]:
    """Do the job in ``folder`` (by default one that its settings name).

    Returns the folder, and how many samples have no verdicts because they failed; the same call tries these again.

    Raises:
        InputError: before anything is written, for anything that cannot be run.
        KeyboardInterrupt: after the batches in hand were recorded.
    """
    layout_set = job.layout_set()
    detector = DetectorOptions(job.detector_name())
    judge = detector_facts(detector)
    work, settings = job.work(layout_set), job.settings(layout_set, judge)
    folder = folder or Path("runs") / run_name(job, layout_set, settings)
    report = make_folder(reports / folder.resolve().name)
    with RunStore(folder, settings, force) as store:
        expected = {(g.method, e.index, g.seed) for g in work for e in g.entries}
        complete = expected <= (store.whole_samples() & store.judged_samples())
        if complete:
            print(f"complete: {len(expected)} images are generated and judged; nothing to do", flush=True)
            if store.info.get("status") != "complete":  # it was stopped after the last record
                store.update_info(finished=now(), status="complete")
        else:
            command = shlex.join(["amdm-bench", *sys.argv[1:]])
            started = store.info.get("started") or now()
            store.update_info(started=started, command=command, workers=workers, **circumstances())
            generate(store, work, factories.make_generator, (job,), workers)
            score(
                store, layout_set.entries, factories.make_cached_judge, (detector, judge, folder / CACHE_FILE), workers
            )
            status = "failed samples" if expected - store.judged_samples() else "complete"
            store.update_info(finished=now(), status=status, judging_again=False)
        failures = len(expected - store.judged_samples())
    from bench.reporting import write_report

    write_report(folder, report)
    return folder, failures


def recorded_detector(folder: Path) -> str:
    """The name of the detector that a run names. Raises InputError where this version has none of that name."""
    return name_of(read_run(folder)[1].judge.name)


def score_run(
    folder: Path, workers: int, again: bool = False, force: bool = False, detector: DetectorOptions | None = None
) -> tuple[int, int]:
    """Judge the pictures of a run that have no verdicts, or all of them ``again``.

    A run holds the verdicts of one detector, by default the one that it names; run.json is changed with it. Returns
    how many pictures have verdicts then, and how many have none because judging them failed.

    Raises:
        InputError: it is no run, or was made under other settings than those of this installation (without ``force``);
            there are verdicts of another detector (without ``again``).
    """
    job, facts = read_run(folder)
    detector = detector or DetectorOptions(recorded_detector(folder))
    judge, layout_set = detector_facts(detector), job.layout_set()
    with RunStore(folder, job.settings(layout_set, read_run_info(folder)["judge"]), force) as store:
        if again and not store.info.get("judging_again"):  # else it was stopped, and what it judged stays
            store.forget_verdicts()
            store.update_info(judging_again=True)
        if store.info["judge"] != judge:
            if store.judged_samples():
                now = f"{Judge(**judge)}, thresholds {judge['thresholds']}, {judge['dtype']}"
                raise InputError(f"verdicts are of {facts.judge}, not of {now}; --again drops them", file=folder)
            store.update_info(judge=judge)
        score(store, layout_set.entries, factories.make_cached_judge, (detector, judge, folder / CACHE_FILE), workers)
        if again:
            store.update_info(judging_again=False)
        judged = store.judged_samples()
        return len(judged), len(store.whole_samples() - judged)


def chosen_profile(wanted: str) -> tuple[str, str]:
    """The profile to run, and why: ``auto`` takes paper where a CUDA device and the checkpoints are present."""
    if wanted != "auto":
        load_profile(wanted)
        return wanted, "as asked for"
    from amdm.loading import paper_profile_available

    available, why = paper_profile_available()
    return ("paper", "a CUDA device and the checkpoints are present") if available else ("mini", why)


def run_name(job: Job, layout_set: LayoutSet, settings: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps({**settings, "shard": None}, sort_keys=True).encode()).hexdigest()[:8]
    part = "" if job.shard is None else "-shard-{}-of-{}".format(*job.shard)
    name = job.profile if job.generator is None else f"{job.profile}-{_file_name(job.methods[0])}"
    return f"{name}-{layout_set.name}-{len(layout_set)}-{digest}{part}"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+@-]", "_", text)[:40]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""A job resolved once: the layouts read, the detector found, the work dealt into batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from bench.detectors.detector import DetectorFacts, DetectorOptions
from bench.detectors.registry import detector_facts, detector_spec
from bench.job.batches import CEILING, Group, groups, share
from bench.job.growth import can_grow, grown
from bench.job.settings import RunSettings
from bench.job.spec import IMAGES, Job, default_detector
from bench.layouts.layout_set import LayoutSet
from bench.layouts.named import load_layouts


@dataclass(frozen=True)
class Plan:
    """What a job comes to on this machine. Whoever asks what should be in a run asks its plan.

    job: what was asked for. layout_set: its layouts. detector: the one asked for, or the one of the layouts' world.
    """

    job: Job
    layout_set: LayoutSet
    detector: DetectorOptions

    @classmethod
    def resolve(cls, job: Job) -> Plan:
        """Read what the job names. Raises InputError for layouts or a detector that are not there."""
        layout_set, detector = resolve_layouts(job)
        if job.detector == default_detector(layout_set):
            job = replace(job, detector=None)  # the same run, whether it is named or not
        return cls(job, layout_set, detector)

    @cached_property
    def batches(self) -> list[Group]:
        """What is to be generated, true renderings of the mini world too. Raises InputError for an impossible shard."""
        job, layout_set = self.job, self.layout_set
        ceiling = [CEILING] if layout_set.renderable and job.generator != IMAGES else []
        job.check_size(len(layout_set))
        job.check_conditions(layout_set)
        work = groups(layout_set, job.methods, job.seeds, job.batch)
        work += groups(layout_set, ceiling, job.seeds[:1], job.batch)
        return work if job.shard is None else share(work, job.shard)

    @cached_property
    def samples(self) -> dict[tuple[str, int, int], int]:
        """The samples that the run should hold, with the number of verdicts that each should have."""
        return {(g.method, e.index, g.seed): e.verdicts for g in self.batches for e in g.entries}

    @cached_property
    def facts(self) -> DetectorFacts:
        """Of the detector."""
        return detector_facts(self.detector)

    @property
    def is_heavy(self) -> bool:
        """Whether one process fills the machine, with full-size models or with the detector."""
        return self.job.profile == "paper" or detector_spec(self.detector.name).heavy

    @cached_property
    def settings(self) -> RunSettings:
        """All that decides the results."""
        return RunSettings.of(self.job, self.layout_set, self.facts)

    @property
    def folder(self) -> Path:
        """The run folder that the settings name."""
        return Path("runs") / self.settings.run_name(self.layout_set)

    def grown_from(self, held: Job) -> Plan:
        """The plan of a run of ``held`` that this one is asked of, too. Raises InputError where it cannot be both."""
        every = len(self.layout_set) == self.layout_set.full_size
        asked = replace(self.job, limit=None) if every else self.job
        if held in (self.job, asked) or not can_grow(held, asked):
            return self if held != asked else replace(self, job=asked)
        return replace(Plan.resolve(grown(held, asked)), detector=self.detector)


def resolve_layouts(job: Job) -> tuple[LayoutSet, DetectorOptions]:
    """The layouts to be run, and the detector."""
    every = load_layouts(job.layouts)
    layout_set = every if job.limit is None else every.subset(job.limit)
    return layout_set, DetectorOptions(job.detector or default_detector(layout_set))

"""What decides the results of a run, and must not differ when it goes on."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from pydantic import Field

from bench.detectors.detector import DetectorFacts
from bench.job.conditions import style_digests
from bench.job.spec import Job
from bench.judges import conditions
from bench.layouts.layout_set import LayoutSet
from bench.provenance import Environment, Recorded, environment


class RunSettings(Recorded):
    """A job with the digests of all that it reads, and the versions under which it runs.

    layout_hash: of the layouts that are run. judge: the detector that gives the verdicts. weights, styles: SHA-256 by
    name. method_settings: of each method all that decides what it computes. condition_judges: SHA-256 of the weights of
    the judges of actions and styles, where layouts ask for either.
    """

    job: Job
    layout_hash: str
    judge: DetectorFacts
    weights: dict[str, str]
    method_settings: dict[str, Any]
    environment: Environment
    styles: dict[str, str] = Field(default_factory=dict)
    condition_judges: dict[str, str] = Field(default_factory=dict)

    @property
    def judged_by(self) -> dict[str, Any]:
        """The fields that verdicts come from: with another value of any, they are those of another judge."""
        return {"judge": self.judge, "condition_judges": self.condition_judges}

    @property
    def judges(self) -> str:
        """As they stand under tables: the detector, and the judges of actions and styles where there are any."""
        others = (f"{name} judge {revision[:12]}" for name, revision in sorted(self.condition_judges.items()))
        return ", ".join([str(self.judge), *others])

    @classmethod
    def of(cls, job: Job, layout_set: LayoutSet, judge: DetectorFacts) -> RunSettings:
        """Those of a job as they are on this machine now."""
        return cls(
            job=job,
            layout_hash=layout_set.hash,
            judge=judge,
            weights=job.weights(),
            method_settings=job.method_settings(),
            environment=environment(),
            styles=style_digests(layout_set),
            condition_judges=conditions.judge_revisions() if layout_set.asks_conditions else {},
        )

    def by_name(self) -> dict[str, Any]:
        """As plain JSON, the fields of the job and of the environment beside the others: the names of messages."""
        found = self.model_dump(mode="json")
        return {**found.pop("job"), **found.pop("environment"), **found}

    def run_name(self, layout_set: LayoutSet) -> str:
        """The name of the run folder, the same for all runs under these settings."""
        text = json.dumps({**self.by_name(), "shard": None}, sort_keys=True)
        job, digest = self.job, hashlib.sha256(text.encode()).hexdigest()[:8]
        part = "" if job.shard is None else "-shard-{}-of-{}".format(*job.shard)
        name = job.profile if job.generator is None else f"{job.profile}-{_file_name(job.methods[0])}"
        return f"{name}-{layout_set.name}-{len(layout_set)}-{digest}{part}"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+@-]", "_", text)[:40]

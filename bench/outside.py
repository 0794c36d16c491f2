"""Jobs whose pictures other software makes, or made: same layouts, seeds, run folder, judge and tables."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from amdm.errors import InputError
from bench.job import Job
from bench.layouts.layout_set import LayoutSet
from bench.layouts.vocabulary import MINI
from bench.provenance import environment
from bench.tables import CEILING

GENERATOR, IMAGES = "generator", "images"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.,:+@()-]{0,59}")


@dataclass(frozen=True)
class Given:
    """How many of the pictures that were asked for were given, and what else was there.

    pictures: readable, one for its layout and seed. missing: layouts and seeds without a file. duplicate: with several.
    unreadable: with one that is no picture. stray: files that belong to no layout. twins: drawings beside the pictures,
    as MIGC's script writes them (``anno_…``). first: names of up to ten stray files.
    """

    pictures: int = 0
    missing: int = 0
    duplicate: int = 0
    unreadable: int = 0
    stray: int = 0
    twins: int = 0
    first: tuple[str, ...] = ()

    def __str__(self) -> str:
        stray = f" ({', '.join(self.first)}{', …' if self.stray > len(self.first) else ''})" if self.first else ""
        counts = f"{self.pictures} read, {self.missing} missing, {self.duplicate} with several files"
        return f"{counts}, {self.unreadable} unreadable; set aside: {self.stray} stray files{stray}, {self.twins} twins"


@dataclass(frozen=True)
class OutsideJob(Job):
    """``profile`` says where the pictures come from, ``methods`` holds the one name that tables show.

    Raises:
        InputError: as :class:`bench.job.Job`; a name that is taken, or has letters that tables cannot show.
    """

    device: str = "unknown"
    dtype: str = "unknown"

    def __post_init__(self) -> None:
        if len(self.methods) != 1 or not _NAME.fullmatch(self.methods[0]) or self.methods[0] == CEILING:
            shown = ", ".join(self.methods)
            raise InputError(f"{shown!r} is no name: up to 60 letters, digits, spaces, _.,:+@()-", field="method")
        self._check_numbers()

    def weights(self) -> dict[str, str]:
        """None that this package knows of."""
        return {}

    def settings(self, layout_set: LayoutSet, judge: dict[str, Any]) -> dict[str, Any]:
        """As :meth:`bench.job.Job.settings`."""
        own = asdict(self)
        source = {name: own[name] for name in ("origin", "digest")}
        described = {"method_settings": {self.methods[0]: source}, "weights": self.weights()}
        return {**own, "layout_hash": layout_set.hash, **described, "judge": judge, **environment()}


@dataclass(frozen=True)
class GeneratorJob(OutsideJob):
    """origin: ``"module:function"``. digest: SHA-256 of the module's file."""

    origin: str = ""
    digest: str = ""


@dataclass(frozen=True)
class ImagesJob(OutsideJob):
    """origin: the folder. digest: SHA-256 over names and contents of the pictures that were taken."""

    origin: str = ""
    digest: str = ""
    given: Given = field(default_factory=Given)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was given."""
        return (f"Pictures given: {self.given}.",)


JOBS: dict[str, type[Job]] = {GENERATOR: GeneratorJob, IMAGES: ImagesJob}


def usual_detector(layout_set: LayoutSet) -> str:
    """The name of the detector that knows the set's categories."""
    return "mini" if layout_set.vocabulary == MINI else "grounded-sam"

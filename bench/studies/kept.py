"""What a study has measured already, in a folder: a file for each batch of each setting."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from amdm.errors import InputError
from amdm.io.files import make_folder, read_json, write_whole
from amdm.presets.settings import MethodSettings
from bench.job.batches import CEILING, Group
from bench.job.conditions import style_digests
from bench.layouts.layout_set import LayoutSet
from bench.report.trial_tables import TABLES

Rows = dict[str, list[tuple[Any, ...]]]
"""By table (:data:`bench.report.trial_tables.TABLES`)."""
LARGEST = 2**24
"""Bytes of a file."""
FORMAT = 2
"""To be raised where :mod:`bench.studies.trials` comes to make other rows, or the text of features is another."""
NO_MATTER = ("bench/report/", "bench/cli/", "bench/studies/")
"""Sources that may change while a study goes on: they choose settings and write tables."""


def identity(settings: MethodSettings | None) -> str:
    """The same for equal settings; :data:`CEILING` for none."""
    return CEILING if settings is None else _digest(settings.describe())


class Kept:
    """One file a batch; settings, layouts, style pictures, seed, weights, judges and versions decide its name.

    What was made under others is not found, and measured again.

    Args:
        folder: None keeps and finds nothing. widths: of the rows of each table; what has other tables is not found.
    """

    def __init__(self, folder: Path | None, profile: str, layout_set: LayoutSet, widths: dict[str, int]) -> None:
        self.folder, self.widths = folder, widths
        self.facts = "" if folder is None else _facts(profile)
        if more := sorted(widths.keys() - TABLES.keys()):
            self.facts = f"{self.facts}, {', '.join(more)}"
        self.styles = style_digests(layout_set) if folder is not None else {}

    def find(self, group: Group) -> Rows | None:
        """The rows of a batch. Raises InputError for a file that was not written here."""
        if self.folder is None or not (path := self._path(group)).exists():
            return None
        content = read_json(path, LARGEST)
        if not isinstance(content, dict) or content.keys() != self.widths.keys():
            raise InputError("is not what a study keeps; delete it", file=path)
        for name, rows in content.items():
            if not isinstance(rows, list) or not all(self._is_row(name, row, group) for row in rows):
                raise InputError("is not what a study keeps; delete it", file=path, field=name)
        return {name: [tuple(row) for row in rows] for name, rows in content.items()}

    def _is_row(self, table: str, row: Any, group: Group) -> bool:
        return isinstance(row, list) and len(row) == self.widths[table] and row[0] == group.method

    def add(self, group: Group, rows: Rows) -> None:
        """Keep the rows of a batch."""
        if self.folder is not None:
            path = self._path(group)
            make_folder(path.parent)
            write_whole(path, json.dumps(rows, default=lambda number: number.item()).encode())

    def _path(self, group: Group) -> Path:
        assert self.folder is not None
        indices = [entry.index for entry in group.entries]
        styles = [self.styles.get(entry.key) for entry in group.entries]
        name = _digest([group.set_hash, indices, styles, group.seed, self.facts])
        return self.folder / group.method / f"{name}.json"


def _facts(profile: str) -> str:
    """Of all that decides results beside settings and layouts."""
    from amdm.profiles import weight_digests
    from bench.detectors.detector import DetectorOptions
    from bench.detectors.registry import detector_facts
    from bench.judges.conditions import judge_revisions
    from bench.provenance import environment, sources_digest

    judge = detector_facts(DetectorOptions()).model_dump(mode="json")
    versions = {**environment().model_dump(mode="json"), "sources": sources_digest(NO_MATTER)}
    return _digest([FORMAT, versions, weight_digests(profile), judge, judge_revisions()])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

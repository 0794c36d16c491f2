"""Tables of a run folder: columns, keys, limits; each stands here once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from bench.cocomig.action_style import OUTCOMES, ActionVerdict, StyleVerdict
from bench.cocomig.finding import Finding
from bench.cocomig.verdict import Verdict
from bench.layouts.layout_set import Entry

KEY = "PRIMARY KEY (method, seed, layout_index"
"""As batches are made and tables are read: rows that are written together lie together, so that a batch takes as
long in a large run as in a small one."""
KEY_BEFORE = "PRIMARY KEY (method, layout_index, seed"
"""Of runs that were begun before; they are read, and go on, as they are."""

DETAILS_TABLE = """
CREATE TABLE IF NOT EXISTS details (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL, seed INTEGER NOT NULL,
  peak_bytes INTEGER CHECK (peak_bytes BETWEEN 0 AND 9007199254740992),
  peak_of TEXT CHECK (peak_of IN ('gpu', 'process')), pull_back TEXT,
  PRIMARY KEY (method, seed, layout_index)) STRICT, WITHOUT ROWID;
"""
"""Of samples; runs that were made before there were details have no such table."""
FINDINGS_TABLE = """
CREATE TABLE IF NOT EXISTS findings (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL, seed INTEGER NOT NULL, instance INTEGER NOT NULL,
  x1 REAL CHECK (x1 BETWEEN 0 AND 1), y1 REAL CHECK (y1 BETWEEN 0 AND 1), x2 REAL CHECK (x2 BETWEEN 0 AND 1),
  y2 REAL CHECK (y2 BETWEEN 0 AND 1), found_colour TEXT, found_share REAL CHECK (found_share BETWEEN 0 AND 1),
  PRIMARY KEY (method, seed, layout_index, instance)) STRICT, WITHOUT ROWID;
"""
"""What the verdicts were given on (:class:`bench.cocomig.finding.Finding`); runs of before have no such table."""
CONDITION_TABLES = f"""
CREATE TABLE IF NOT EXISTS interactions (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL, seed INTEGER NOT NULL, interaction INTEGER NOT NULL,
  subject INTEGER NOT NULL CHECK (subject BETWEEN 0 AND 99), object INTEGER NOT NULL CHECK (object BETWEEN 0 AND 99),
  asked TEXT NOT NULL, found TEXT, outcome TEXT NOT NULL CHECK (outcome IN {OUTCOMES}), margin REAL NOT NULL,
  PRIMARY KEY (method, seed, layout_index, interaction)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS styles (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL, seed INTEGER NOT NULL,
  asked TEXT NOT NULL, found TEXT NOT NULL, success INTEGER NOT NULL CHECK (success IN (0, 1)), margin REAL NOT NULL,
  PRIMARY KEY (method, seed, layout_index)) STRICT, WITHOUT ROWID;
"""
"""Verdicts on interactions and styles; earlier runs have no such tables."""
FULL_SIZE_TABLES = CONDITION_TABLES.replace("interactions (", "full_size_interactions (").replace(
    "styles (", "full_size_styles ("
)
"""The same of judges that are asked about a whole run, after it (:mod:`bench.stages.full_size`)."""
LATER_TABLES = DETAILS_TABLE + FINDINGS_TABLE + CONDITION_TABLES + FULL_SIZE_TABLES

SCHEMA = f"""{LATER_TABLES}
CREATE TABLE IF NOT EXISTS samples (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL CHECK (layout_index >= 0),
  seed INTEGER NOT NULL CHECK (seed BETWEEN 0 AND 2147483647), status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
  error TEXT, attempts INTEGER NOT NULL, image TEXT, sha256 TEXT, batch_size INTEGER, seconds REAL, evaluations TEXT,
  PRIMARY KEY (method, seed, layout_index)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
  method TEXT NOT NULL, layout_index INTEGER NOT NULL, seed INTEGER NOT NULL, instance INTEGER NOT NULL,
  label TEXT NOT NULL, colour TEXT NOT NULL, category TEXT NOT NULL,
  level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 99),
  box_area REAL NOT NULL CHECK (box_area BETWEEN 0 AND 1), detected INTEGER NOT NULL CHECK (detected IN (0, 1)),
  iou REAL NOT NULL CHECK (iou BETWEEN 0 AND 1), success INTEGER NOT NULL CHECK (success IN (0, 1)),
  attr INTEGER NOT NULL CHECK (attr IN (0, 1)), miou REAL NOT NULL CHECK (miou BETWEEN 0 AND 1),
  mask_px INTEGER CHECK (mask_px BETWEEN 0 AND 4294967296), hit_px INTEGER CHECK (hit_px BETWEEN 0 AND 4294967296),
  PRIMARY KEY (method, seed, layout_index, instance)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (at TEXT NOT NULL, what TEXT NOT NULL) STRICT;
"""


def _columns(table: str) -> tuple[str, ...]:
    """In their order, which is that of rows."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(SCHEMA)
        return tuple(name for _, name, *_ in fresh.execute(f"PRAGMA table_info({table})"))


RECORD_COLUMNS, DETAIL_COLUMNS, FINDING_COLUMNS = map(_columns, ("samples", "details", "findings"))
VERDICT_COLUMNS, INTERACTION_COLUMNS, STYLE_COLUMNS = map(_columns, ("verdicts", "interactions", "styles"))
SAMPLE_COLUMNS = (*RECORD_COLUMNS, *DETAIL_COLUMNS[3:])
"""peak_bytes: the most memory while the sample's batch was drawn, and peak_of: whose (:mod:`bench.workers.memory`).
evaluations, pull_back: JSON by model; see :class:`bench.stages.generate.SampleResult`."""
VERDICT_TABLES = {"verdicts": VERDICT_COLUMNS, "interactions": INTERACTION_COLUMNS, "styles": STYLE_COLUMNS}
"""What is judged, by table: instances, interactions, pictures. A sample's verdicts are recorded together."""
JUDGED_TABLES = {**VERDICT_TABLES, "findings": FINDING_COLUMNS}
"""With what the verdicts on instances were given on; runs of before have none of that."""
FULL_SIZE_OF = {"action": "full_size_interactions", "style": "full_size_styles"}
"""Table by what such a judge judges. A run is whole without them, and a picture that is made anew loses them."""
BESIDE_SAMPLES = {**JUDGED_TABLES, FULL_SIZE_OF["action"]: INTERACTION_COLUMNS, FULL_SIZE_OF["style"]: STYLE_COLUMNS}
"""All tables that speak of samples, but for what is recorded of these themselves."""
SAMPLE_KEY = ("method", "layout_index", "seed")
KEY_COLUMNS = ", ".join(SAMPLE_KEY)
OF_SAMPLE = f"WHERE ({KEY_COLUMNS}) = (?, ?, ?)"
DATABASE = "run.sqlite"
MAX_DATABASE_BYTES = 2**31
"""Bytes; a million samples of four instances have 0.9 * 10**9."""
BUSY_SECONDS = 10
READ_SECONDS = 60
"""For which a run waits until a reader has its copy, of a large database on a slow disk say."""
MAX_ROWS = 6_000_000
"""Of a table, which pandas holds in memory; a million samples of four instances have 4 million verdicts."""


def verdict_row(method: str, seed: int, entry: Entry, instance: int, verdict: Verdict) -> tuple[Any, ...]:
    """One row of the verdict table (bench.run.schema.VERDICT_COLUMNS)."""
    label, box = entry.labels[instance], entry.layout.instances[instance].box
    area = (box[2] - box[0]) * (box[3] - box[1])
    return (
        *(method, entry.index, seed, instance, str(label), label.colour, label.category, entry.level, area),
        *(int(verdict.detected), verdict.iou, int(verdict.success), int(verdict.attr), verdict.miou),
        *(verdict.mask_px, verdict.hit_px),
    )


def interaction_row(method: str, seed: int, entry: Entry, interaction: int, verdict: ActionVerdict) -> tuple[Any, ...]:
    """One row of :data:`INTERACTION_COLUMNS`; ``interaction`` counts those that are judged."""
    asked = entry.actions[interaction]
    about = (method, entry.index, seed, interaction, asked.subject, asked.object, asked.action)
    return (*about, verdict.found, verdict.outcome, verdict.margin)


def style_row(method: str, seed: int, entry: Entry, verdict: StyleVerdict) -> tuple[Any, ...]:
    """One row of :data:`STYLE_COLUMNS`."""
    return (method, entry.index, seed, verdict.asked, verdict.found, int(verdict.success), verdict.margin)


def finding_row(method: str, seed: int, entry: Entry, instance: int, finding: Finding) -> tuple[Any, ...]:
    """One row of the findings (:data:`FINDING_COLUMNS`)."""
    box = finding.box or (None, None, None, None)
    return (method, entry.index, seed, instance, *box, finding.colour, finding.share)

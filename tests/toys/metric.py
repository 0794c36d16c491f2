"""A metric in one file, as a user would add it: of what is in place, the share in the wrong colour."""

from __future__ import annotations

from bench.cocomig.metrics import Metric

METRIC = Metric("miscoloured", "miscoloured given place", "wrong_colour", "placed", higher_is_better=False)

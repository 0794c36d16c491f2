"""What the layouts of a study must be: words and metrics that can be judged, and a confirming run on others."""

from __future__ import annotations

from amdm.errors import InputError
from bench.cocomig.metrics import METRICS
from bench.detectors.detector import DetectorOptions
from bench.detectors.registry import check_words
from bench.layouts.layout_set import LayoutSet, content_hash

JUDGE = DetectorOptions()
"""Of every study: the mini world's."""


def check_judged(layout_set: LayoutSet) -> None:
    """Raise InputError, before anything is drawn, for words that the judge of studies cannot read."""
    check_words(JUDGE.name, layout_set)


def check_apart(chosen_on: LayoutSet, others: LayoutSet, what: str, field: str) -> None:
    """Raise InputError for a layout that settings are chosen on and confirmed on; its content counts, not its name.

    Args:
        what: how the message calls ``chosen_on``. field: the argument that names ``others``.
    """
    known = {content_hash([entry]) for entry in chosen_on.entries}
    if common := [entry.key for entry in others.entries if content_hash([entry]) in known]:
        holds = f"holds {len(common)} of {what}, the first {common[0][:80]!r}"
        raise InputError(f"{holds}; a result on them confirms nothing", field=field)


def check_metric(name: str, layout_set: LayoutSet, field: str) -> None:
    """Raise InputError for a metric of what the layouts do not ask for.

    Args:
        name: of :data:`bench.cocomig.metrics.METRICS`. field: the argument that names the layouts.
    """
    interactions = any(entry.actions for entry in layout_set.entries)
    lacking = {
        "action_given_place": ("no interaction", interactions),
        "joint_interaction": ("no interaction", interactions),
        "style": ("no style", any(entry.asks_style for entry in layout_set.entries)),
        "joint_picture": ("neither interactions nor styles", layout_set.asks_conditions),
        "colour_given_place": ("no colour", any(one.colour for entry in layout_set.entries for one in entry.labels)),
    }
    nothing, asked = lacking.get(name, ("", True))
    if not asked:
        raise InputError(f"ask for {nothing} that is judged, and {METRICS[name].label} is of that", field=field)

"""Which columns a LaTeX table has by default; apart, so that command lines need not load what makes tables."""

from __future__ import annotations

USUAL_COLUMNS = ("isr", "miou", "seconds")
"""Those of the paper's Table 1."""

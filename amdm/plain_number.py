"""Numbers as callers hold them: Python's own, fractions and decimals, NumPy's, torch's."""

from __future__ import annotations

import math
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any

from amdm.errors import InputError


def plain(value: Any) -> Any:
    """A NumPy or torch scalar as Python's number, an array or tensor as (nested) lists, a fraction or decimal as float;
    anything else as it is.

    The value is not checked here: a bool stays a bool, and a text a text.

    >>> from fractions import Fraction
    >>> plain(Fraction(1, 2)), plain("0.5")
    (0.5, '0.5')
    """
    if isinstance(value, Fraction | Decimal):
        with suppress(OverflowError, ValueError):  # a fraction beyond floats, a signalling NaN: refused as they are
            return float(value)
    convert = getattr(value, "tolist", None)
    if not callable(convert):
        return value
    with suppress(RuntimeError):  # a tensor without storage (meta, sparse): refused as it is
        found = convert()
        # of NumPy's longdouble it is that itself
        return float(found) if hasattr(found, "tolist") and isinstance(found, Real) else found
    return value


def checked_number(value: Any, field: str) -> float:
    """A finite number as Python's. Raises InputError for anything else."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"is {str(value)[:80]!r}; it must be a finite number", field=field)
    return float(value)

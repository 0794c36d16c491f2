"""The base of everything that is read field by field: settings and files of presets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, lt=2**31)]
Numbers = Annotated[tuple[float, ...], Field(strict=False)]  # JSON has lists, no tuples


class Strict(BaseModel):
    """Nothing unknown, and no value turned into one of another type: a text or true is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

"""What a training was begun with: it goes on with the same, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from amdm.errors import InputError
from amdm.io.files import read_json, write_atomic


def begin_or_resume(checkpoint: Path, **settings: str | float) -> None:
    """Record the settings of a training that begins, and compare those of one that goes on.

    Args:
        checkpoint: the first that the training writes; the record lies beside it.

    Raises:
        InputError: the training there was begun with other settings, or they were not recorded.
    """
    record = checkpoint.with_suffix(".json")
    if record.exists():
        before = read_json(record, most=10_000)
        if before != settings:
            what = f"a training was begun here with {_said(before)}, and cannot go on with {_said(settings)}"
            raise InputError(f"{what}; take another folder", file=record)
    elif checkpoint.exists():
        raise InputError("was trained with settings that were not recorded; take another folder", file=checkpoint)
    else:
        write_atomic(record, (json.dumps(settings) + "\n").encode())


def _said(settings: object) -> str:
    return json.dumps(settings).strip("{}").replace('"', "")

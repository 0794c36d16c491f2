"""The recipe of the recorded cases' weights against its own recorded values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.recipe import recipe_tensor


def test_recipe(reference_dir: Path) -> None:
    path = reference_dir / "recipe_check.json"
    if not path.exists():
        pytest.skip(f"no {path.name} among the recorded cases")
    known = json.loads(path.read_text(encoding="utf-8"))
    for one in known["values"]:
        made = recipe_tensor(known["salt"], one["name"], one["shape"])
        assert list(made.shape) == list(one["shape"])
        assert torch.equal(made.flatten(), torch.tensor(one["values"]).flatten()), one["name"]

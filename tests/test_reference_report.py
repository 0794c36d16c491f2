"""`make test-reference` runs every test on recorded cases, wherever its file lies."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.reference_report import ROOT, Outcomes, modules
from tests.amdm.models import test_reference_migc


def test_every_file_with_recorded_cases_is_run() -> None:
    found = {str(path.relative_to(ROOT / "tests")) for path in modules()}
    models = {f"amdm/models/test_reference_{name}.py" for name in ("interact", "migc")}
    protocol = {f"bench/cocomig/test_{name}.py" for name in ("colour", "metrics", "verdict")}
    assert {"test_recipe.py", "amdm/test_reference_aggregation.py", "bench/layouts/test_sampling.py"} <= found
    assert models | protocol <= found and "test_extras.py" not in found


def test_other_tests_of_these_files_are_not_run() -> None:
    items: list[Any] = [SimpleNamespace(fixturenames=names) for names in (["tmp_path"], ["tmp_path", "evaluator_dir"])]
    recorded = items[1]
    Outcomes([Path("evaluator")]).pytest_collection_modifyitems(items)
    assert items == [recorded]


def test_tests_that_list_their_cases_before_they_run_are_run_too() -> None:
    own = [
        one
        for name, one in vars(test_reference_migc).items()
        if name.startswith("test_") and "tag" in signature(one).parameters
    ]
    assert len(own) == 4
    for one in own:
        marked = [mark.args for mark in one.pytestmark if mark.name == "usefixtures"]
        assert marked == [("reference_dir",)], one.__name__

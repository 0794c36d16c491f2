"""`make test-reference` runs every test on recorded cases, wherever its file lies."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.reference_report import ROOT, Outcomes, modules


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

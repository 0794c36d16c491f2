"""Run the tests on recorded cases and count them by test file; a recorded file that no test read is an error."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"AMDM_REFERENCE_DIR": "reference", "AMDM_EVALUATOR_DIR": "evaluator"}
NOT_CASES = {"manifest.json"}  # says how the cases were made
FIXTURES = {"reference_dir", "evaluator_dir"}
"""Of tests that read recorded cases."""


def modules() -> list[Path]:
    """The test files that name one of :data:`FIXTURES`."""
    every = sorted((ROOT / "tests").rglob("test_*.py"))
    return [path for path in every if any(name in path.read_text(encoding="utf-8") for name in FIXTURES)]


class Outcomes:
    """Counts outcomes by test module, and notes which recorded files were opened."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = [folder.resolve() for folder in folders]
        self.counts: dict[str, Counter[str]] = {}
        self.read: set[Path] = set()
        sys.addaudithook(self._opened)

    def _opened(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | Path):
            path = Path(arguments[0])
            if path.parent.name in {folder.name for folder in self.folders} and path.parent.resolve() in self.folders:
                self.read.add(path.resolve())

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Called by pytest before the tests: of the files' tests those on recorded cases stay."""
        items[:] = [one for one in items if FIXTURES & set(getattr(one, "fixturenames", ()))]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest after each phase of a test."""
        if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
            self.counts.setdefault(report.nodeid.split("::")[0], Counter())[report.outcome] += 1


def main() -> int:
    """Exit status 0 where all ran, passed, and no recorded file was left unread."""
    folders = [Path(os.environ.get(name) or ROOT.parent / "shared" / default) for name, default in FOLDERS.items()]
    present = [folder for folder in folders if folder.is_dir()]
    if not present:
        print("no recorded cases: set AMDM_REFERENCE_DIR and AMDM_EVALUATOR_DIR")
        return 2
    outcomes = Outcomes(present)
    status = int(pytest.main(["-q", "-p", "no:cacheprovider", *map(str, modules())], plugins=[outcomes]))
    for module, counts in sorted(outcomes.counts.items()):
        print(f"{module}: {counts.total()} ran, {counts['passed']} passed, {counts['failed']} failed")
    files = {
        path.resolve()
        for folder in present
        for path in folder.iterdir()
        if path.suffix in (".npz", ".json", ".gz") and path.name not in NOT_CASES
    }
    unread = sorted(files - outcomes.read)
    for path in unread:
        print(f"NOT READ by any test: {path.parent.name}/{path.name}")
    total = sum(outcomes.counts.values(), Counter())
    print(f"{total['passed']} passed, {total['failed']} failed")
    return status or int(bool(unread))


if __name__ == "__main__":
    sys.exit(main())

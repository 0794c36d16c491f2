"""The gate's result as JUnit XML, which CI systems show."""

from __future__ import annotations

from xml.etree import ElementTree

from amdm.errors import printable
from bench.report.gate import GateResult


def junit_xml(result: GateResult, run: str) -> bytes:
    """A test suite: a case for each metric of each method and level, which failed where the metric fell too far."""
    suite = ElementTree.Element(
        "testsuite",
        name="amdm-bench regress",
        tests=str(len(result.checks)),
        failures=str(len(result.failures)),
        errors="0",
        skipped="0",
    )
    for one in result.checks:
        name = {"classname": f"{run}.{one.method}", "name": f"{one.level} {one.metric}"}
        # XML has no place for control characters, which names in records may hold.
        case = ElementTree.SubElement(suite, "testcase", {key: printable(text) for key, text in name.items()}, time="0")
        if one.failure is not None:
            failure = ElementTree.SubElement(case, "failure", message=printable(one.failure), type="regression")
            failure.text = f"baseline {one.baseline:.2f}, now {one.now:.2f}, allowed to fall by {one.allowed:g} points"
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)

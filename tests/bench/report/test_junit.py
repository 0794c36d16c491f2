from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from bench.report.gate import Check, GateResult, check_regression, make_baseline
from bench.report.junit import junit_xml
from tests.bench.conftest import JobRunner
from tests.bench.report.test_gate import lose


def test_a_case_for_each_metric_fails_where_it_fell(run_fake_job: JobRunner, tmp_path: Path) -> None:
    make_baseline(run_fake_job("before"), tmp_path / "baseline.json", "first")
    run = run_fake_job("now")
    lose(run, "migc", 4, 3)
    result = check_regression(run, tmp_path / "baseline.json")
    suite = ElementTree.fromstring(junit_xml(result, "now"))
    assert suite.get("tests") == str(len(suite)) == "36" and suite.get("failures") == str(len(result.failures))
    failed = {f"{case.get('classname')} {case.get('name')}": case.find("failure") for case in suite}
    assert failed["now.migc L4 isr"].get("message") == "migc L4 isr: fell by 15.00 points (allowed 4)"  # type: ignore
    assert failed["now.interactdiffusion L4 isr"] is None
    found = json.loads(json.dumps(result.as_json()))
    assert found["passed"] is False and len(found["flips"]) == 3
    assert [one["failure"] for one in found["checks"] if one["failure"]] == result.failures


def test_names_that_xml_cannot_hold_are_written_out() -> None:
    result = GateResult([Check("a\x00\x1b<b>&", "Avg", "isr", 50.0, float("nan"), 1.5)], "", [])
    (case,) = ElementTree.fromstring(junit_xml(result, "run"))
    assert case.get("classname") == "run.a\\x00\\x1b<b>&" and case.find("failure") is not None

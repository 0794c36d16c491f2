"""The steps of action.yml, with its inputs, are commands that measure a generator and gate it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.bench.cli.command import Call, call  # noqa: F401
from tests.bench.conftest import fake_judge  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STUB = """#!/usr/bin/env python3
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""
GENERATOR = """
import numpy as np

def grey(layouts, seeds):
    return [np.full((64, 64, 3), 90, np.uint8) for _ in layouts]
"""


def commands(tmp_path: Path, **inputs: str) -> list[list[str]]:
    """What the last step calls ``amdm-bench`` with."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "amdm-bench").write_text(STUB)
    (tools / "amdm-bench").chmod(0o755)
    calls = tmp_path / "calls"
    calls.unlink(missing_ok=True)
    step = ACTION["runs"]["steps"][-1]
    given = {name: inputs.get(name, one.get("default", "")) for name, one in ACTION["inputs"].items()}
    own = {name: given[text.split("inputs.")[1].split(" ")[0]] for name, text in step["env"].items()}
    place = {name: str(tmp_path / name) for name in ("RUNNER_TEMP", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    path = f"{tools}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        env={"PATH": path, "CALLS": str(calls), **place, **own},
        check=True,
    )
    return [json.loads(line) for line in calls.read_text().splitlines()]


def test_inputs_are_handed_over_as_they_are_and_never_run(tmp_path: Path) -> None:
    hostile = '$(touch hacked) "; touch hacked #'
    first, second = commands(tmp_path, generator=hostile, baseline=hostile)
    assert first[:5] == ["run", "--generator", hostile, "--layouts", "mini"] and "--limit" not in first
    assert second[0] == "regress" and second[second.index("--baseline") + 1] == hostile
    assert all("${{" not in step.get("run", "") for step in ACTION["runs"]["steps"])
    outputs = dict(line.split("=", 1) for line in (tmp_path / "GITHUB_OUTPUT").read_text().splitlines())
    assert outputs.keys() == ACTION["outputs"].keys()


def test_a_generator_passes_and_then_falls(call: Call, fake_judge: None, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "own.py").write_text(GENERATOR)
    baseline = tmp_path / "baseline.json"
    first, second = commands(tmp_path, generator=f"{tmp_path}/own.py:grey", baseline=str(baseline), limit="5")
    assert call(*first).status == 0
    run = Path(first[first.index("--out") + 1])
    assert call("baseline", run, "--to", baseline, "--reason", "first").status == 0
    assert call(*second).status == 0 and (tmp_path / "RUNNER_TEMP/amdm-bench/junit.xml").is_file()
    better = json.loads(baseline.read_text())
    for row in better["verdicts"]:
        row[better["columns"].index("success")] = row[better["columns"].index("attr")] = 1
    baseline.write_text(json.dumps(better))
    assert call(*second).status == 1

"""Peaks of memory: of this process, one measurement apart from the next."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.run.read import read_table
from bench.workers import memory
from bench.workers.memory import Peak, with_peak
from tests.bench.fakes import small_run

MIB = 2**20
ROOT = Path(__file__).resolve().parents[3]
told = pytest.mark.skipif(with_peak(lambda: None)[1] is None, reason="this system does not tell the peak of memory")


SIZES = """
import json
import numpy as np
from bench.workers.memory import with_peak

def filled(mib):
    return int(np.ones(mib * 2**20, np.uint8).sum())

print(json.dumps([with_peak(lambda mib=mib: filled(mib)) for mib in (1, 300, 1)]))
"""


@told
def test_a_measurement_forgets_what_was_before() -> None:
    """In a process of its own: what other tests left behind may be freed meanwhile, and lower the second peak."""
    done = subprocess.run([sys.executable, "-c", SIZES], capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    assert [result for result, _ in found] == [mib * MIB for mib in (1, 300, 1)]
    assert {of for _, (_, of) in found} == {"process"}
    first, large, last = (size for _, (size, _) in found)
    assert 250 * MIB < large - first < 400 * MIB and last < large - 250 * MIB


def test_a_gpu_that_is_in_use_is_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[int] = []
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 2,
        reset_peak_memory_stats=forgotten.append,
        max_memory_allocated=lambda device: (device + 1) * 1000,
    )
    monkeypatch.setattr(memory, "_cuda", lambda: cuda)
    assert with_peak(lambda: "made") == ("made", Peak(2000, "gpu")) and forgotten == [0, 1]


def test_a_system_that_does_not_tell_gives_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_RESET", tmp_path / "none" / "clear_refs")
    assert with_peak(lambda: 1) == (1, None)


def test_a_system_whose_status_has_no_peak_gives_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("reset", "status"):
        (tmp_path / name).write_text("VmRSS:\t 100 kB\n")
        monkeypatch.setattr(memory, f"_{name.upper()}", tmp_path / name)
    assert with_peak(lambda: 1) == (1, None)


def test_a_failure_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        with_peak(lambda: 1 // 0)


@told
def test_every_sample_has_the_peak_of_its_batch(tmp_path: Path) -> None:
    small_run(tmp_path / "run", count=10, batch=4)
    samples = read_table(tmp_path / "run", "samples")
    assert set(samples.peak_of) == {"process"} and (samples.peak_bytes > 50 * MIB).all()
    assert samples.groupby(["method", samples.layout_index // 4]).peak_bytes.nunique().max() == 1

"""Gains of the arms of an ablation: over which target, and with which intervals."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from amdm.presets.profile import load_profile
from bench.cocomig.metrics import METRICS, paired
from bench.report.ablation import ALONE, Arm, arm_table
from bench.report.trial_tables import Tables
from tests.bench.cocomig.test_metrics import random_table

TARGET = load_profile("mini").method("migc")
RATES = {"T 2: migc": 0.4, "T 2: more": 0.8, "T 2: less": 0.1, "T 4: migc": 0.6, "T 4: more": 0.8}


def test_a_gain_is_over_the_target_at_the_same_t_and_holds_for_all_arms_of_it() -> None:
    verdicts = pd.concat([random_table(rate, name, k, 40) for k, (name, rate) in enumerate(RATES.items())])
    samples = pd.DataFrame({"method": list(RATES), "status": "ok", "seconds": 1.0, "evaluations": '{"migc": 2}'})
    tables = Tables(verdicts, pd.DataFrame(), pd.DataFrame(), samples, pd.DataFrame())
    arms = [Arm(name, int(name[2]), ALONE if name.endswith("migc") else "w", TARGET) for name in RATES]
    found = arm_table(tables, arms).set_index("arm")
    assert METRICS["isr"].higher_is_better and math.isnan(found.isr_gain["T 2: migc"])
    for name, count in (("T 2: more", 3), ("T 2: less", 3), ("T 4: more", 2)):
        target = f"{name[:3]}: migc"
        assert found.isr_gain[name] == pytest.approx(found.isr[name] - found.isr[target])
        expected = paired(tables.sums, name, target, 1 - 0.05 / count)["isr"]
        assert found.loc[name, ["isr_gain_low", "isr_gain_high"]].tolist() == pytest.approx(expected[1:3])
    assert found.isr_gain["T 2: less"] < 0 < found.isr_gain["T 4: more"]

"""The tables of compositions: what stands beside which method."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.report.compositions import Study, write_compositions
from bench.report.tables import TableInfo
from bench.report.trial_tables import Tables
from tests.bench.cocomig.test_metrics import random_table

NAMES = ("single", "mixed")
INFO = TableInfo("Title", "judge", "own", "0" * 64, 20, 20, NAMES, (0,), "command")


def test_every_method_has_its_own_group_costs_and_kid(tmp_path: Path) -> None:
    verdicts = pd.concat([random_table(rate, name, 1, 20) for name, rate in zip(NAMES, (0.2, 0.9), strict=True)])
    costs = {"seconds": [1.0, 2.0], "evaluations": ['{"a": 20}', '{"a": 20, "b": 4}']}
    samples, none = pd.DataFrame({"method": NAMES, "status": "ok", **costs}), pd.DataFrame()
    study = Study(
        groups={"mixed": "T + 4", "single": "alone"},
        bounds={"T + 4": 24, "alone": 20},
        chosen={"single": "preset", "mixed": "s 3"},
        settings={"single": {"models": ["a"]}, "mixed": {"models": ["a", "b"]}},
        compared=(),
        trials=none,
        kid=pd.DataFrame({"kid": [0.5, 0.25], "kid_sd": [0.125, 0.03125]}, index=["mixed", "single"]),
        tuned_on="others",
    )
    page = write_compositions(tmp_path, Tables(verdicts, none, none, samples, none), study, INFO).page
    table = pd.read_csv(tmp_path / "joint.csv").set_index("method")
    assert table.loc["mixed", ["group", "KID", "KID sd", "evaluations", "s/image"]].tolist() == [
        *("T + 4", 0.5, 0.125, 24, 2)
    ]
    assert table.loc["single", ["group", "KID", "KID sd", "evaluations"]].tolist() == ["alone", 0.25, 0.03125, 20]
    own, alone = page.split("## Evaluations: alone")
    assert "0.500 ± 0.125" in own and "0.250 ± 0.031" not in own and "0.250 ± 0.031" in alone

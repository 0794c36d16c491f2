"""Sweeps: what a file may say, a grid of the shipped models, and a search that goes on where it was stopped."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from amdm.errors import InputError
from amdm.io.lock import lock_file
from bench.cli.main import app, main
from bench.report.trial_tables import Tables
from bench.studies.sweep import BEST, PRESET, confirm, sweep, sweep_name, trial_table
from bench.studies.sweep_config import Point, SweepConfig, search, study_name
from bench.studies.trials import StudyRun
from tests.bench.cocomig.test_metrics import random_table
from tests.conftest import needs

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "sweep.yaml"
PLAIN: dict[str, Any] = {
    "method": "interactdiffusion+migc@combined",
    "layouts": "mini-combined-tune",
    "limit": 5,
    "set": ["settings.all.num_inference_steps=3", "aggregation.s=1"],
    "space": {"aggregation.weights": [[0.3], [0.7]], "settings.migc.guidance_scale": [3.0]},
    "confirm": {"layouts": "mini-combined", "limit": 5},
}
RANGES = {
    "aggregation.eta": {"low": 0.0, "high": 0.5, "length": 2},
    "aggregation.s": {"low": 1, "high": 2, "whole": True},
}
SCALES = {"settings.ip-adapter.scale": [1.0]}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(json.dumps({**PLAIN, **changes}))  # JSON is YAML
    return path


def test_the_example_is_read() -> None:
    config = SweepConfig.read(EXAMPLE)
    assert len(list(config.grid())) == 8 and config.settings({}).models == ("interactdiffusion", "migc")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layouts": "mini-combined"}, "layouts: 'mini-combined' is not a set for tuning"),
        ({"layouts": "mini-combined-tuna"}, "layouts: 'mini-combined-tuna' is not a set for tuning"),
        ({"layouts": "no-tune"}, "layouts: unknown layout set 'no-tune'"),
        (
            {"confirm": {"layouts": "mini-combined-tune", "limit": 10}},
            "confirm.layouts: holds 5 of the layouts of the sweep, the first '0'",
        ),
        ({"confirm": {"layouts": "mini"}}, "confirm.layouts: ask for no interaction that is judged"),
        ({"layouts": "mini-tune", "objective": "style"}, "layouts: ask for no style that is judged"),
        ({"objective": "seconds"}, "objective: is 'seconds'; of which less is better"),
        ({"objective": "evaluations"}, "objective: is 'evaluations'; of which less is better"),
        ({"objective": "kid"}, "objective: is 'kid'; of which less is better"),
        ({"objective": "wrong_place"}, "objective: is 'wrong_place'; of which less is better"),
        ({"confirm": {"layouts": "mini-combined", "seeds": [0, 0]}}, "confirm.seeds: must be distinct"),
        ({"seeds": [1, 1]}, "seeds: must be distinct"),
        ({"confirm": {"layouts": "mini-combined", "limit": 0}}, "confirm.limit: "),
        ({"method": "interactdifusion"}, "methods: unknown method 'interactdifusion'"),
        (
            {"method": "interactdiffusion+migc"},
            "would ignore the field style of the layouts mini-combined-tune; another",
        ),
        (
            {"method": "ip-adapter@combined", "layouts": "mini-tune", "objective": "isr", "set": [], "space": SCALES},
            "methods.ip-adapter@combined: needs a style image, and the layouts mini-tune name none",
        ),
        ({"objective": "ISR"}, "objective: is 'ISR'; did you mean isr?"),
        ({"space": {}}, "space: "),
        ({"space": {"aggregation.s": 3}}, "space.aggregation.s: must be a list of values, or a range"),
        ({"space": {"aggregation.s": [99]}}, "space: aggregation.s=99: "),
        ({"space": {"aggregation.z": [1]}}, "aggregation.z: is not a field here"),
        ({"space": {"aggregation.s": [1] * 3000}}, "space: has 3,000 points"),
        ({"space": RANGES}, "space.aggregation.eta: is a range; a grid takes lists"),
        ({"search": "optuna", "space": {"aggregation.s": {"low": 2, "high": 1}}}, "space.aggregation.s: low must be"),
        ({"search": "optuna", "space": {"aggregation.s": {"lo": 2, "high": 1}}}, "space.aggregation.s.low: "),
        (
            {"search": "optuna", "space": {"aggregation.s": {"low": -1e308, "high": 1e308}}},
            "space.aggregation.s: high less low is no finite number",
        ),
        ({"serach": "grid"}, "serach: is not a field here; did you mean search?"),
        ({"trials": "many"}, "trials: "),
        ({"seeds": [0.5]}, "seeds.0: "),
    ],
)
def test_a_bad_file_is_one_line_that_names_file_and_field(
    tmp_path: Path, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        SweepConfig.read(path)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    monkeypatch.setattr("sys.argv", ["amdm-bench", "sweep", "--config", str(path)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("text", ["[1, 2]", "a: !!python/object/apply:os.system [ls]", "a: &x [1]\nb: *x", "a: [", ""])
def test_what_is_no_mapping_of_plain_values_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"own\.yaml"):
        SweepConfig.read(path)


def test_a_set_for_no_tuning_is_allowed_where_the_file_says_so(tmp_path: Path) -> None:
    confirm = {"layouts": "mini-combined-tune"}
    config = SweepConfig.read(written(tmp_path, layouts="mini-combined", any_layouts=True, confirm=confirm))
    assert len(config.layout_set) == 5


def test_a_grid_is_measured_and_its_best_confirmed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SweepConfig.read(written(tmp_path))
    page = sweep(config, tmp_path / "run", tmp_path / "report", 1).page
    assert "## Confirming run: mini-combined" in page and "## Pareto front" in page
    trials = pd.read_parquet(tmp_path / "report" / "trials.parquet")
    assert trials["aggregation.weights"].tolist() == ["[0.3]", "[0.7]"] and set(trials.status) == {"ok"}
    assert set(trials.evaluations) == {3 + 2} and {"isr", "joint_interaction", "style_low"} <= set(trials)
    assert pd.read_csv(tmp_path / "report" / "trials.csv").trial.tolist() == [0, 1]
    front = pd.read_csv(tmp_path / "report" / "pareto.csv")
    assert len(front) == 1
    confirmed = pd.read_csv(tmp_path / "report" / "confirm.csv")
    assert confirmed.method.tolist() == ["the best trial", "the preset", "ceiling"]
    monkeypatch.setattr("bench.studies.trials.run_tasks", lambda *_: (_ for _ in ()))  # nothing is left to do
    assert sweep(config, tmp_path / "run", tmp_path / "report", 1).page == page
    asked = ["sweep", "--config", str(tmp_path / "own.yaml"), "--out", str(tmp_path / "run"), "--workers", "1"]
    answer = CliRunner().invoke(app, [*asked, "--reports", str(tmp_path / "cli"), "--json"])
    found = json.loads(answer.stdout)
    assert [one["trial"] for one in found["trials"]] == [0, 1] and len(found["confirm"]) == 3
    assert len(found["files"]) == 5 and all(Path(one).is_file() for one in found["files"])
    other = config.model_copy(update={"seed": 1})
    assert sweep_name(config) == sweep_name(SweepConfig.read(written(tmp_path))) != sweep_name(other)


def test_the_same_layouts_in_a_file_of_another_name_confirm_nothing(tmp_path: Path) -> None:
    entries = json.loads(files("bench.layouts").joinpath("sets", "mini-tune.json").read_text())
    (tmp_path / "own.json").write_text(json.dumps(dict(list(entries.items())[3:9])))  # another set, by its hash
    changes = {
        "layouts": "mini-tune",
        "limit": 50,
        "objective": "isr",
        "confirm": {"layouts": str(tmp_path / "own.json")},
    }
    with pytest.raises(InputError, match=r"confirm\.layouts: holds 6 of the layouts of the sweep, the first '3'"):
        SweepConfig.read(written(tmp_path, **changes))


def test_an_objective_without_a_value_in_any_trial_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SweepConfig.read(written(tmp_path))
    own = pd.DataFrame(
        {"trial": [0, 1], "status": "ok", "reason": "", "joint_interaction": float("nan"), "evaluations": 5}
    )
    monkeypatch.setattr("bench.studies.sweep.trial_table", lambda *_: own)
    with pytest.raises(InputError, match="objective: joint by interaction has no value in any trial"):
        sweep(config, tmp_path / "run", tmp_path / "report", 1)


def closeness(points: Sequence[Point]) -> list[float | None]:
    """Best at η = 0.1; none for s = 2."""
    return [None if point["aggregation.s"] == 2 else -abs(point["aggregation.eta"][0] - 0.1) for point in points]


def stopping_after(batches: int) -> Callable[[Sequence[Point]], list[float | None]]:
    left = [None] * batches

    def measure(points: Sequence[Point]) -> list[float | None]:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return closeness(points)

    return measure


def test_a_search_that_was_stopped_goes_on_as_one_that_was_not(tmp_path: Path) -> None:
    needs("optuna", "tune")
    changes = {"search": "optuna", "space": RANGES, "trials": 18, "together": 3, "seed": 7}
    config = SweepConfig.read(written(tmp_path, **changes))
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = search(config, tmp_path / "whole", closeness)
    with pytest.raises(KeyboardInterrupt):
        search(config, tmp_path / "stopped", stopping_after(4))
    assert search(config, tmp_path / "stopped", closeness) == whole and len(whole) == 18
    assert all(0 <= eta <= 0.5 for point in whole for eta in point["aggregation.eta"])
    assert {point["aggregation.s"] for point in whole} == {1, 2}
    assert all(config.settings({**point, "aggregation.eta_unit": "sqrt_dim"}) for point in whole)
    other = SweepConfig.read(written(tmp_path, **changes | {"seed": 8}))
    assert search(other, tmp_path / "whole", closeness) != whole  # in one storage, and of itself alone
    more = SweepConfig.read(written(tmp_path, **changes | {"trials": 20}))
    assert search(more, tmp_path / "whole", closeness)[:18] == whole and sweep_name(more) == sweep_name(config)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"not a database" * 300)


def another_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute("create table studies (a int)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (not_a_database, "cannot be opened as Optuna's storage ("),
        (another_database, "cannot be opened as Optuna's storage ("),
        (Path.mkdir, "is not a regular file"),
    ],
)
def test_a_storage_that_is_none_is_one_line(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    needs("optuna", "tune")
    config = SweepConfig.read(written(tmp_path, search="optuna", space=RANGES))
    make(tmp_path / "optuna.sqlite")
    with pytest.raises(InputError) as error:
        search(config, tmp_path, closeness)
    assert str(error.value).startswith(f"{tmp_path / 'optuna.sqlite'}: {message}")


def test_what_goes_wrong_with_the_storage_while_it_is_searched_is_one_line(tmp_path: Path) -> None:
    needs("optuna", "tune")
    config, storage = SweepConfig.read(written(tmp_path, search="optuna", space=RANGES)), tmp_path / "optuna.sqlite"

    def spoil(points: Sequence[Point]) -> list[float]:
        with closing(sqlite3.connect(storage)) as made:
            made.execute("drop table trial_values")
        return [0.0 for _ in points]

    with pytest.raises(InputError) as error:
        search(config, tmp_path, spoil)
    assert str(error.value).startswith(f"{storage}: cannot be written: ") and "trial_values" in str(error.value)


def test_a_folder_that_the_storage_would_not_lie_in_is_refused(tmp_path: Path) -> None:
    needs("optuna", "tune")
    config = SweepConfig.read(written(tmp_path, search="optuna", space=RANGES))
    for name in ("a?b", "a%20b", "a{0}"):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match="in its name, which Optuna's storage cannot have"):
            search(config, tmp_path / name, closeness)
    assert not list(tmp_path.rglob("optuna.sqlite")) and not (tmp_path / "a").exists()


def test_two_searches_in_one_folder_are_refused(tmp_path: Path) -> None:
    needs("optuna", "tune")
    config = SweepConfig.read(written(tmp_path, search="optuna", space=RANGES, trials=2))
    with closing(lock_file(tmp_path)), pytest.raises(InputError, match=r"is in use by process \d+ on"):
        search(config, tmp_path, closeness)
    assert len(search(config, tmp_path, closeness)) == 2


def test_small_numbers_of_a_range_are_kept(tmp_path: Path) -> None:
    needs("optuna", "tune")
    low, high = 1e-9, 1.23456789e-7
    space = {"aggregation.eta": {"low": low, "high": high, "log": True, "length": 2}, "aggregation.s": [1]}
    config = SweepConfig.read(written(tmp_path, search="optuna", space=space, trials=8))
    values = [eta for point in search(config, tmp_path, closeness) for eta in point["aggregation.eta"]]
    assert len(set(values)) > 8 and all(low <= eta <= high for eta in values)


def test_searches_on_other_layouts_are_other_studies(tmp_path: Path) -> None:
    path = tmp_path / "own-tune.json"
    entries = json.loads(files("bench.layouts").joinpath("sets", "mini-tune.json").read_text())
    changes = {
        "layouts": str(path),
        "any_layouts": True,
        "objective": "isr",
        "confirm": {"layouts": "mini", "limit": 5},
    }
    found = set()
    for first in (0, 5):
        path.write_text(json.dumps(dict(list(entries.items())[first : first + 5])))
        found.add(study_name(SweepConfig.read(written(tmp_path, search="optuna", **changes))))
    assert len(found) == 2


def test_without_optuna_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    config = SweepConfig.read(written(tmp_path, search="optuna", space=RANGES))
    with pytest.raises(InputError, match=r"search: optuna is not installed; pip install 'amdm\[tune\]'"):
        search(config, tmp_path, closeness)


def test_a_trial_says_how_many_of_its_pictures_failed(tmp_path: Path) -> None:
    config = SweepConfig.read(written(tmp_path))
    wild = {"aggregation.eta": [3e38, 3e38], "aggregation.eta_unit": "sqrt_dim"}
    (trial,) = trial_table(config, StudyRun(config.layout_set), [wild]).to_dict("records")
    assert (trial["status"], trial["reason"]) == ("failed", "5 pictures are not finite")


def test_the_confirmed_difference_is_the_best_trial_less_the_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {BEST: 0.9, PRESET: 0.3}
    verdicts = pd.concat([random_table(rate, name, k, 40) for k, (name, rate) in enumerate(rates.items())])
    samples = pd.DataFrame({"method": list(rates), "status": "ok", "seconds": 1.0, "evaluations": '{"migc": 2}'})
    tables = Tables(verdicts, pd.DataFrame(), pd.DataFrame(), samples, pd.DataFrame())
    monkeypatch.setattr("bench.studies.sweep.run_trials", lambda *_: tables)
    config = SweepConfig.read(written(tmp_path, objective="isr"))
    found = confirm(config, next(iter(config.grid())), 1, tmp_path)
    own = found.table.set_index("method").isr
    assert found.difference is not None and found.difference.value == pytest.approx(own[BEST] - own[PRESET])
    assert 0 < found.difference.low < found.difference.value < found.difference.high

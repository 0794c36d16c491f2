"""What is exported for the Hub, read back with huggingface_hub; no network is used."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard, parse_eval_result_entries

from amdm.errors import InputError
from bench.report.hub import code, export_hub
from bench.run.read import read_table
from tests.bench.cli.command import Call
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info

METHODS = ("interactdiffusion", "migc")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an export needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def summary(reports: Path) -> dict[str, dict[str, Any]]:
    """metrics by method, all levels: [value, low, high]."""
    results = json.loads((reports / "summary.json").read_text())["results"]
    return {m: {k: v for k, v in of.items() if isinstance(v, list)} for m, of in results.items()}


def front(card: Path) -> dict[str, Any]:
    return yaml.safe_load(card.read_text(encoding="utf-8").split("---\n")[1])


def test_cards_have_the_metrics_of_the_run(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder, to = run_fake_job(), tmp_path / "hub"
    made = export_hub(folder, to)
    assert made == [to / "dataset", *(to / "models" / name for name in METHODS)]
    known = summary(tmp_path / "reports" / "run")
    for method in METHODS:
        card = ModelCard.load(to / "models" / method / "README.md")
        assert card.data.model_name == method and card.data.pipeline_tag == "text-to-image"
        found = {one.metric_type: one.metric_value for one in card.data.eval_results}
        assert found == {name: value for name, (value, _, _) in known[method].items() if value is not None}
        assert 0 < found["isr"] < 1 and len(found) >= 9
        assert f"{100 * found['isr']:.2f}" in card.text
        assert {one.dataset_args["layouts"] for one in card.data.eval_results} == {25}
        assert not (to / "models" / method / ".eval_results").exists()
    text = (to / "dataset" / "README.md").read_text()
    assert all(f"{100 * known[name]['isr'][0]:.2f}" in text for name in (*METHODS, "ceiling"))


def test_the_dataset_card_names_the_tables_beside_it(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder, to = run_fake_job(), tmp_path / "hub"
    export_hub(folder, to)
    card = DatasetCard.load(to / "dataset" / "README.md")
    named = {one["config_name"]: to / "dataset" / one["data_files"] for one in card.data["configs"]}
    assert set(named) == {"samples", "verdicts", "findings"}
    assert {path.name for path in named.values()} == {path.name for path in (to / "dataset" / "data").iterdir()}
    for name, path in named.items():
        pd.testing.assert_frame_equal(pd.read_parquet(path), read_table(folder, name), check_dtype=False)
    assert card.data.size_categories == ["n<1K"] and card.data.task_categories == ["text-to-image"]


def test_evaluation_results_are_of_the_benchmark_that_is_named(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder, to = run_fake_job(), tmp_path / "hub"
    export_hub(folder, to, "somebody/coco-mig")
    known = summary(tmp_path / "reports" / "run")["migc"]
    (file,) = (to / "models" / "migc" / ".eval_results").iterdir()
    assert file.name == "coco-mig.yaml"
    entries = parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert {one.task_id: one.value for one in entries} == {k: v[0] for k, v in known.items() if v[0] is not None}
    assert {one.dataset_id for one in entries} == {"somebody/coco-mig"}
    assert all("mini world" in str(one.notes) and str(one.date).startswith("20") for one in entries)
    (index,) = front(to / "models" / "migc" / "README.md")["model-index"]
    assert [one["dataset"]["type"] for one in index["results"]] == ["somebody/coco-mig"]
    with pytest.raises(InputError, match=r"dataset: 'no name' is not of the form user/name"):
        export_hub(folder, tmp_path / "other", "no name")


def test_mini_figures_say_so_wherever_they_stand(run_fake_job: JobRunner, tmp_path: Path) -> None:
    to = tmp_path / "hub"
    for folder in export_hub(run_fake_job(), to):
        card = ModelCard.load(folder / "README.md")
        assert "mini-world" in card.data.tags and "mini world" in card.text.splitlines()[1]
        assert "> **Figures of the mini world" in card.text
    (index,) = front(to / "models" / "migc" / "README.md")["model-index"]
    for result in index["results"]:
        assert "(mini world)" in result["dataset"]["name"]
        assert all("(mini world)" in metric["name"] for metric in result["metrics"])


HOSTILE = "x --- <img src=http://a/b> `![p](http://a/b)`\n---\nlicense: evil\n| y: [1"


def test_texts_of_files_are_shown_and_not_obeyed(run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder, to = run_fake_job(), tmp_path / "hub"
    change_info(folder, command=HOSTILE)
    export_hub(folder, to)
    shown = code(HOSTILE)
    assert "\n" not in shown and shown.startswith("`` x --- <img") and shown.endswith("``")
    for card in to.rglob("README.md"):
        loaded = ModelCard.load(card)
        assert "license" not in front(card) and loaded.data.license is None
        assert f"Made by {shown}." in loaded.text


def test_a_method_of_any_name_has_one_folder(run_fake_job: JobRunner, tmp_path: Path) -> None:
    name, to = "../[a](b): 'c'", tmp_path / "hub"
    folder = run_fake_job("own", profile="external", methods=(name,), generator="m:f", digest="1", limit=10)
    _, made = export_hub(folder, to)
    assert made.parent == to / "models" and "/" not in made.name and not made.name.startswith(".")
    card = ModelCard.load(made / "README.md")
    assert card.data.model_name == name and f"# {code(name)}: evaluation" in card.text


def test_an_export_that_stops_leaves_nothing(run_fake_job: JobRunner, tmp_path: Path, monkeypatch: Any) -> None:
    folder, to = run_fake_job(), tmp_path / "hub"
    monkeypatch.setattr("bench.report.hub._write_model", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_hub(folder, to)
    assert not to.exists()
    monkeypatch.undo()
    export_hub(folder, to)
    with pytest.raises(InputError, match="hub: is there already, and is not empty"):
        export_hub(folder, to)


def test_the_command_line(call: Call, run_fake_job: JobRunner, tmp_path: Path) -> None:
    folder, to = run_fake_job(), tmp_path / "hub"
    answer = call("export", folder, "--hub", "--to", to, "--json")
    assert answer.status == 0 and json.loads(answer.out)["folders"][0] == str(to / "dataset")
    assert "without --hub" in call("export", folder, "--hub", "--method", "migc", "--to", to).error
    assert "method: is needed" in call("export", folder, "--to", to).error
    assert (
        "dataset: goes with --hub" in call("export", folder, "--to", to, "--dataset", "a/b", "--method", "migc").error
    )
    shown = call("export", folder, "--hub", "--to", tmp_path / "again").out
    assert shown.endswith("nothing was uploaded\n") and shown.count("wrote ") == 3

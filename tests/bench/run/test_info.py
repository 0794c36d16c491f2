"""run.json: typed, with a format; what was written before it had one is read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amdm.errors import InputError
from bench.report.measured import Measured
from bench.report.write import write_report
from bench.run.info import RunInfo
from bench.run.store import RunStore
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info, run_settings

FLAT = Path(__file__).with_name("flat")
"""Files of version 0.1.0: a run that went on with --force, one of pictures, one that was merged."""


def flat_run(folder: Path, name: str, **changes: Any) -> Path:
    folder.mkdir()
    content = json.loads((FLAT / f"{name}.json").read_text())
    (folder / "run.json").write_text(json.dumps(content | changes))
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", run_settings(seeds=(3, 4), shard=(1, 2))) as store:
        store.begin(2, taken_from={"folder": "x", "found": 3})
        store.end("failed samples")
        assert RunInfo.read(tmp_path / "run") == store.info
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["format"] == 1 and content["settings"]["job"]["seeds"] == [3, 4]
    assert set(content) == {"format", "status", "settings", "progress", "provenance"}


def test_a_run_that_is_not_there_is_told_from_those_beside_it(tmp_path: Path) -> None:
    flat_run(tmp_path / "seeds-0", "images")
    with pytest.raises(
        InputError, match=r"seed-0/run\.json: is absent: there is no run; did you mean seeds-0\? there are: seeds-0$"
    ):
        RunInfo.read(tmp_path / "seed-0")
    with pytest.raises(InputError, match=r"run\.json: is absent: there is no run$"):
        RunInfo.read(tmp_path / "seeds-0" / "images")


@pytest.mark.parametrize("name", ["forced", "images", "merged"])
def test_a_file_without_a_format_loses_nothing(name: str, tmp_path: Path) -> None:
    info, flat = RunInfo.read(flat_run(tmp_path / "run", name)), json.loads((FLAT / f"{name}.json").read_text())
    assert info.provenance is not None
    found = {**info.settings.by_name(), **info.progress.model_dump(mode="json"), **info.provenance.model_dump()}
    assert found["merged"] == [] or len(found["merged"]) == len(flat["merged"]) == 2
    same = set(flat) - {"status", "merged"}
    assert {field: found[field] for field in same} == {field: flat[field] for field in same}
    assert info.status == flat["status"]
    for part, old in zip(info.progress.merged, flat.get("merged") or [], strict=True):
        assert part.provenance is not None and part.provenance.command == old["command"]
        assert [*(part.shard or ())] == old["shard"] and part.progress.started == old["started"]
    info.write(tmp_path / "run")
    assert RunInfo.read(tmp_path / "run") == info


def test_a_run_whose_file_has_no_format_has_its_tables_and_goes_on_by_force(
    run_fake_job: JobRunner, tmp_path: Path
) -> None:
    folder = run_fake_job(limit=5, methods=("migc",))
    settings = RunInfo.read(folder).settings
    shutil.copyfile(FLAT / "forced.json", folder / "run.json")
    assert "now 4" in write_report(folder, tmp_path / "again")
    assert Measured.read(folder).info.forced == ("batch: was 2, now 4", "shard: was [1, 2], now null")
    with pytest.raises(InputError, match=r"run\.json: batch: was 4, now 8; use another folder, or --force"):
        RunStore(folder, settings)
    assert "format" not in json.loads((folder / "run.json").read_text())
    with RunStore(folder, settings, force=True) as store:
        forced = {change.field for change in store.info.progress.forced}
    assert {"batch", "shard", "sources"} <= forced and RunInfo.read(folder).settings == settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ["0"]}, "seeds.0: Input should be a valid integer"),
        ({"judge": {"name": "x"}}, "judge.revision: Field required"),
        ({"batch": 0}, "batch: 0 is not between"),
        ({"weights": None}, "weights: Field required"),
        ({"status": "done"}, "status: Input should be"),
        ({"workers": "2"}, "workers: "),
        ({"merged": [3]}, "merged.0: "),
        ({"merged": [{"shard": [1]}]}, "merged.0."),
        ({"format": 2}, "format: is '2'; this version of amdm reads 1"),
        ({"format": 1}, "settings: Field required"),
    ],
)
def test_what_is_wrong_in_a_file_without_a_format_is_named_as_it_stands_there(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        RunInfo.read(flat_run(tmp_path / "run", "forced", **changes))
    assert str(caught.value).startswith(f"{tmp_path}/run/run.json: {message}"), caught.value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "done"}, "status: Input should be 'started', 'complete', 'failed samples', 'gaps' or 'merging'"),
        ({"seeds": []}, "settings.job.seeds: must be distinct integers"),
        ({"python": 3}, "settings.environment.python: Input should be a valid string"),
        ({"forced": [{"field": "x"}]}, "progress.forced.0.before: Field required"),
        ({"layout_hash": "\ud800"}, "Invalid JSON: "),
        ({"progress": {"begun": "x"}}, "progress.begun: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    RunStore(tmp_path / "run", run_settings()).__exit__()
    change_info(tmp_path / "run", **changes)
    with pytest.raises(InputError) as caught:
        RunInfo.read(tmp_path / "run")
    assert str(caught.value).startswith(f"{tmp_path}/run/run.json: {message}"), caught.value


def test_the_name_of_a_run_is_that_of_its_settings_but_for_the_shard() -> None:
    from bench.layouts.named import load_layouts

    layouts, settings = load_layouts("mini").subset(5), run_settings(limit=5)
    name = settings.run_name(layouts)
    assert name.startswith("mini-mini-5-") and name != run_settings(limit=5, batch=8).run_name(layouts)
    shard = settings.model_copy(update={"job": replace(settings.job, shard=(1, 2))})
    assert shard.run_name(layouts) == f"{name}-shard-1-of-2"

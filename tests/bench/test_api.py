"""The benchmark as functions: every kind of generator, and what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

import bench
from amdm.errors import InputError
from amdm.layout import Layout
from amdm.pipeline import AMDMPipeline
from bench import evaluate, read_result, score
from bench.io.remote import RemoteFolder
from bench.layouts.named import load_layouts
from tests.amdm.test_own_unets import tiny_stable_diffusion
from tests.bench.fakes import paint


def draw(layouts: list[Layout], seeds: list[int]) -> list[np.ndarray]:
    assert len(layouts) == len(seeds)
    return list(paint("exact", layouts, [str(seed) for seed in seeds]).images)


def average(result: bench.Result, method: str) -> Any:
    return result.metrics.query("method == @method and level == 'Avg'").iloc[0]


def test_a_function_is_measured_and_the_numbers_are_those_of_its_verdicts(fake_judge: None, tmp_path: Path) -> None:
    result = evaluate(draw, layouts="mini", limit=5, out=tmp_path / "run")
    rows = result.verdicts.query("method == 'draw'")
    assert average(result, "draw").isr == pytest.approx((rows.success & rows.attr).mean()) and len(rows) == 20
    assert result.failures == 0 and "draw" in str(result) and (tmp_path / "reports/run/table1.md").exists()
    assert {"draw", "ceiling"} == set(result.samples.method)


def test_an_object_in_memory_has_a_folder_of_its_own_each_time_and_is_never_continued(
    fake_judge: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (evaluate(draw, limit=5) for _ in range(2))
    assert first.folder != second.folder and not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match="digest"):
        evaluate(draw, limit=5, out=first.folder)


def test_a_folder_of_pictures_is_measured(fake_judge: None, tmp_path: Path) -> None:
    layout_set = load_layouts("mini").subset(5)
    (tmp_path / "mine").mkdir()
    for entry in layout_set.entries:
        Image.fromarray(draw([entry.layout], [0])[0]).save(tmp_path / "mine" / f"x_{entry.key}.png")
    result = evaluate(tmp_path / "mine", layouts="mini", limit=5, out=tmp_path / "run")
    of_function = evaluate(draw, layouts="mini", limit=5, name="mine", out=tmp_path / "again")
    assert average(result, "mine").isr == average(of_function, "mine").isr > 0
    with pytest.raises(InputError, match="one seed"):
        evaluate(tmp_path / "mine", seeds=(0, 1))


def test_a_folder_that_is_called_as_a_preset_does_not_hide_it(
    fake_networks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("migc").mkdir()
    assert evaluate("migc", limit=5, device="cpu", out=tmp_path / "run").folder.name == "run"
    with pytest.raises(InputError):  # a folder without pictures
        evaluate(Path("migc"), limit=5)


def test_a_preset_and_its_pipeline_are_measured(tmp_path: Path) -> None:
    preset = evaluate("migc", limit=5, device="cpu", out=tmp_path / "preset")
    pipe = evaluate(AMDMPipeline.from_pretrained("mini", "migc"), limit=5, out=tmp_path / "pipe")
    assert average(preset, "migc").isr > 0.5 and average(pipe, "AMDMPipeline").isr > 0.5
    assert set(read_result(preset.folder).verdicts.method) == {"migc", "ceiling"}


def test_another_pipeline_reads_captions_and_is_called_so(tmp_path: Path) -> None:
    result = evaluate(tiny_stable_diffusion(), limit=5, out=tmp_path / "run")
    assert "StableDiffusionPipeline (caption only)" in set(result.verdicts.method)


def test_a_run_is_scored_again_with_the_same_answers(fake_judge: None, tmp_path: Path) -> None:
    result = evaluate(draw, limit=5, out=tmp_path / "run")
    again = score(result.folder, again=True)
    assert again.metrics.equals(result.metrics)


def test_what_is_no_generator_is_one_line() -> None:
    with pytest.raises(InputError, match="is not a function, pipeline, preset or folder"):
        evaluate(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="mgic"):
        evaluate("mgic", limit=5)
    with pytest.raises(InputError, match="name: a preset has its own"):
        evaluate("migc", limit=5, name="mine")


def test_the_front_door_is_light_and_complete() -> None:
    assert {"evaluate", "score", "load_layouts", "metric_table"} <= set(dir(bench))
    for name in dir(bench):
        assert getattr(bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        bench.absent  # noqa: B018


def test_a_job_is_run_with_the_names_of_the_front_door_alone(fake_judge: None, tmp_path: Path) -> None:
    plan = bench.Plan.resolve(bench.Job("mini", "mini", ("stable_diffusion",), (0,), 5, limit=5))
    folder, failures = bench.run_benchmark(plan, tmp_path / "run", tmp_path / "reports", 1)
    assert failures == 0 and len(read_result(folder).samples) == 10


@pytest.mark.parametrize("seeds", [np.array([0, 1]), "0-1", [np.int64(0), 1]])
def test_seeds_come_in_every_form(fake_judge: None, tmp_path: Path, seeds: Any) -> None:
    result = evaluate(draw, limit=np.int64(5), seeds=seeds, batch=np.int32(4), out=tmp_path / "run")  # type: ignore[arg-type]
    assert set(result.samples.query("method == 'draw'").seed) == {0, 1}
    assert set(evaluate(draw, limit=5, seeds=1, out=tmp_path / "one").samples.query("method == 'draw'").seed) == {1}


@pytest.mark.parametrize("seeds", [True, [0.5], "x"])
def test_seeds_that_are_none_leave_nothing_behind(fake_judge: None, tmp_path: Path, seeds: Any) -> None:
    with pytest.raises(InputError, match="seeds"):
        evaluate(draw, limit=5, seeds=seeds, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("fake_judge", "own_cache")
def test_runs_and_pictures_in_remote_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url, pictures = f"memory://{tmp_path.name}/run", f"memory://{tmp_path.name}/pictures"
    here = evaluate(draw, limit=5, out=tmp_path / "here" / "run")
    there = evaluate(draw, limit=5, out=url)
    assert there.metrics.equals(here.metrics) and Path("reports/run/table1.md").is_file()
    assert {"run.json", "records/part-000001.parquet"} <= RemoteFolder.parse(url).sizes().keys()
    assert there.folder.is_relative_to(tmp_path / "cache") and read_result(url).metrics.equals(here.metrics)
    assert score(url, again=True).metrics.equals(here.metrics)
    files = sorted((there.folder / "images" / "draw").iterdir())
    RemoteFolder.parse(pictures).send((path.name, path) for path in files)
    taken = evaluate(pictures, limit=5, out=f"memory://{tmp_path.name}/taken")
    assert set(taken.samples.method) == {"pictures"} and len(taken.samples) == 5
    assert not list(tmp_path.glob("memory*"))
    fsspec.filesystem("memory").store.clear()

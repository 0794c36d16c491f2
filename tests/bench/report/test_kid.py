"""KID: the formula written out, an order of ever worse pictures, and the table of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from amdm.errors import InputError
from amdm.mini.scene_stream import training_scene
from bench.cli.main import app
from bench.generators.renderer import true_renderings
from bench.job.batches import CEILING
from bench.job.conditions import true_conditions_of
from bench.judges.picture_features import mini_features
from bench.layouts.named import load_layouts
from bench.report.kid import encoded, from_texts, kid, kid_of_features, kid_table, renderings
from bench.run.images import read_image
from bench.studies.trials import StudyRun, run_trials
from scripts.kid_severity import severities
from tests.bench.cli.command import Call
from tests.bench.conftest import JobRunner


def unbiased_mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """Of the kernel (x·y/d + 1)³, in float64."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    n, m = len(x), len(y)
    own, others = kernel(x, x), kernel(y, y)
    within = (own.sum() - np.trace(own)) / (n * (n - 1)) + (others.sum() - np.trace(others)) / (m * (m - 1))
    return float(within - 2 * kernel(x, y).mean())


def test_it_is_the_unbiased_mmd_of_standardised_features() -> None:
    random = torch.Generator().manual_seed(0)
    pictures, reference = torch.randn(400, 6, generator=random) * 2 + 1, torch.randn(400, 6, generator=random) * 3
    mean, deviation = reference.mean(0), reference.std(0)
    expected = unbiased_mmd2(*((one - mean).div(deviation).double().numpy() for one in (pictures, reference)))
    found, spread = kid(pictures, reference)
    assert found == pytest.approx(expected, abs=4 * spread / 10)  # the mean of 100 subsets
    assert spread < expected / 3
    assert kid(pictures, reference) == (found, spread)


def test_the_callers_random_numbers_are_left_alone() -> None:
    features = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    kid(features, features.flip(0) + 1)
    assert torch.equal(torch.rand(3), expected)


def test_blur_noise_and_wrong_colours_are_ranked() -> None:
    table = severities(250)
    plain = table.iloc[0]
    assert abs(plain.kid) < 2 * plain.kid_sd
    for kind, own in table.iloc[1:].groupby("kind"):
        ordered = own.sort_values("severity").kid.tolist()
        assert ordered[0] < ordered[1] < ordered[2], (kind, ordered)
        assert ordered[1] > plain.kid + plain.kid_sd, (kind, ordered)  # the mildest are hardly seen
        assert ordered[2] > plain.kid + 5 * plain.kid_sd, (kind, ordered)


def test_features_do_not_depend_on_whose_weights_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMDM_MINI_WEIGHTS_DIR", str(tmp_path))  # where there are none
    assert mini_features()([training_scene("kid-reference", 0, 0)[1].image]).shape == (1, 192)


def test_a_runs_table_is_of_its_pictures_and_renderings_of_other_scenes(run_fake_job: JobRunner) -> None:
    run, features = run_fake_job("a"), mini_features()
    table = kid_table(run, features).set_index("method")
    assert set(table.references) == {400} and set(table.pictures) == {25} and "ceiling" in table.index
    own = [read_image(path) for path in sorted((run / "images").rglob("migc/*.png"))]
    reference = features([training_scene("kid-reference", 0, k)[1].image for k in range(400)])
    assert len(own) == 25 and table.loc["migc", "kid"] == pytest.approx(kid(features(own), reference)[0], rel=0.2)
    assert table.loc["migc", "kid"] > 10 * abs(kid(reference[:200], reference[200:])[0])


def test_features_as_texts_give_the_kid_of_the_pictures() -> None:
    layouts, features = load_layouts("mini-combined").subset(10), mini_features()
    tables = run_trials(StudyRun(layouts, features=True), {CEILING: None}, "try")
    images = true_renderings(
        [entry.layout for entry in layouts.entries],
        [f"{layouts.hash}/{entry.index}/0" for entry in layouts.entries],
        **true_conditions_of(layouts.entries),
    ).images
    own = tables.features.sort_values("layout_index")
    assert torch.allclose(from_texts(own.features.tolist()), features(images), atol=1e-4)
    found = kid_of_features(tables.features, layouts)
    assert found.kid[CEILING] == pytest.approx(
        kid(from_texts(tables.features.features.tolist()), encoded(renderings(layouts), features))[0]
    )
    assert kid_of_features(tables.features.head(9), layouts).empty


def test_a_folder_is_a_reference(run_fake_job: JobRunner, tmp_path: Path) -> None:
    run = run_fake_job("a")
    folder = tmp_path / "pictures"
    folder.mkdir()
    with pytest.raises(InputError, match="0 reference pictures are too few"):
        kid_table(run, mini_features(), folder)
    for k, path in enumerate(sorted((run / "images" / "ceiling").rglob("*.png"))):
        Image.open(path).save(folder / f"{k}.png")
    Image.open(folder / "0.png").save(folder / "0.bmp")  # of any form that folders of pictures may have
    (folder / "0.png").unlink()
    (folder / "._1.png").write_bytes(b"what macOS leaves beside a picture")
    table = kid_table(run, mini_features(), folder).set_index("method")
    assert table.loc["ceiling", "references"] == 25 and table.loc["ceiling", "kid"] < 0  # the same pictures
    asked = ["kid", str(run), "--reference", str(folder), "--reports", str(tmp_path / "reports"), "--json"]
    rows = json.loads(CliRunner().invoke(app, asked).stdout)["rows"]
    assert {one["method"]: one["kid"] for one in rows} == pytest.approx(table.kid.to_dict())
    with pytest.raises(InputError, match="is not a folder"):
        kid_table(run, mini_features(), tmp_path / "absent")


def test_the_mini_tower_is_not_loaded_for_clips_features(
    call: Call, run_fake_job: JobRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.judges.picture_features.mini_features", lambda: pytest.fail("loaded"))
    answer = call("kid", run_fake_job("few", limit=5), "--clip", "--weights", tmp_path / "absent")
    assert answer.status == 2 and "absent: is not a safetensors file" in answer.err


def test_too_few_pictures_are_one_line(run_fake_job: JobRunner) -> None:
    with pytest.raises(InputError, match="5 pictures are too few for KID"):
        kid_table(run_fake_job("few", limit=5), mini_features())

"""CLIP scores with a tiny model of open_clip: the official counting, written out, gives the same numbers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Instance, Layout
from bench.layouts.layout_set import Entry
from bench.report.clip import ClipScorer, clip_scores, clip_table, crop
from tests.bench.conftest import JobRunner
from tests.bench.fakes import change_info
from tests.closeness import rounding_bound

MODEL = "tiny-test"
BOXES = ((0.1, 0.2, 0.5, 0.9), (0.6, 0.0, 1.0, 0.301))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("clip")
    vision = '{"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}'
    text = '{"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}'
    (folder / f"{MODEL}.json").write_text(f'{{"embed_dim": 16, "vision_cfg": {vision}, "text_cfg": {text}}}')
    open_clip.add_model_config(folder)
    return MODEL


@pytest.fixture
def scorer(tiny: str) -> ClipScorer:
    torch.manual_seed(0)
    return ClipScorer(None, model=tiny)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (512, 512, 3), dtype=np.uint8)


def logit(scorer: ClipScorer, image: np.ndarray, text: str, model: Any = None) -> torch.Tensor:
    model = model or scorer.model
    with torch.no_grad():
        a = model.encode_image(scorer.clip.transform(Image.fromarray(image))[None])
        b = model.encode_text(scorer.tokenizer([text]))
    cosine = torch.nn.functional.cosine_similarity(a, b)
    return model.logit_scale.detach().exp() * cosine


@pytest.mark.numeric
def test_scores_are_logits_over_pictures_and_templates(scorer: ClipScorer) -> None:
    images, captions = [picture(0), picture(1)], ["a red cup ", "a photo"]
    shown = list(zip(images, captions, strict=True))
    bound = rounding_bound(lambda model: torch.cat([logit(scorer, *one, model) for one in shown]), scorer.model)
    for found, image, text in zip(scorer.global_scores(images, captions), images, captions, strict=True):
        assert found == pytest.approx(float(logit(scorer, image, text)), abs=bound)
    labels = ["a red cup", "a blue dining table"]
    entry = Entry(0, "0", "", Layout("c", tuple(map(Instance, labels, BOXES))))
    for found, box, label in zip(scorer.local_scores(images[0], entry), BOXES, labels, strict=True):
        each = [float(logit(scorer, crop(images[0], box), template(label))) for template in OPENAI_IMAGENET_TEMPLATES]
        assert found == pytest.approx(np.mean(each), abs=bound) and len(each) == 80


def test_the_official_channel_order_is_an_option(scorer: ClipScorer) -> None:
    image = picture(2)
    rgb = scorer.global_scores([image], ["a red cup"])
    scorer.bgr = True
    assert scorer.global_scores([image], ["a red cup"]) != pytest.approx(rgb, abs=1e-5)
    assert scorer.global_scores([image[..., ::-1]], ["a red cup"]) == pytest.approx(rgb, abs=1e-5)


def test_crops_are_cut_at_whole_pixels_and_stretched() -> None:
    image = picture(3)
    assert crop(image, BOXES[0]).shape == (512, 512, 3)
    assert (crop(image, (0.5, 0.5, 0.5001, 0.5001)) == image[256, 256]).all()
    part = np.zeros_like(image)
    part[51:460, 102:256] = 200  # of 51.2, 460.8, 102.4 and 256
    assert (crop(part, (0.2, 0.1, 0.5, 0.9)) == 200).all()
    for wider in ((0.199, 0.1, 0.5, 0.9), (0.2, 0.1, 0.502, 0.9), (0.2, 0.099, 0.5, 0.9), (0.2, 0.1, 0.5, 0.902)):
        assert (crop(part, wider) == 0).any()


def test_a_runs_table_weighs_local_scores_by_instances(run_fake_job: JobRunner, scorer: ClipScorer) -> None:
    scores = clip_scores(run_fake_job("a", limit=5), scorer)
    table = clip_table(scores).set_index(["method", "level"])
    own = scores[scores.method == "migc"]
    assert len(own) == 5 and set(own.level) == {2, 3, 4, 5, 6}
    assert table.loc[("migc", "Avg"), "clip"] == pytest.approx(own["clip"].mean())
    weighted = np.average(own.local_clip, weights=own.level)
    assert table.loc[("migc", "Avg"), "local_clip"] == pytest.approx(weighted)


def test_a_run_of_other_layouts_or_without_pictures_has_no_scores(run_fake_job: JobRunner, scorer: ClipScorer) -> None:
    folder = run_fake_job(limit=5)
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("UPDATE samples SET layout_index = 199 WHERE layout_index = 1")
    with pytest.raises(InputError, match="run: samples: names layout 199, which is not of this run"):
        clip_scores(folder, scorer)
    with sqlite3.connect(folder / "run.sqlite") as database:
        database.execute("UPDATE samples SET status = 'failed'")
    with pytest.raises(InputError, match="run: holds no pictures"):
        clip_scores(folder, scorer)
    change_info(folder, layout_hash="0" * 64)
    with pytest.raises(InputError, match="the layout set is not the one that was run"):
        clip_scores(folder, scorer)


def test_weights_that_do_not_fit_are_one_line(tiny: str, tmp_path: Path) -> None:
    for content, name in ((b"x" * 100, "w.safetensors"), (b"", "w.pt")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            ClipScorer(tmp_path / name, model=tiny)
    with pytest.raises(InputError, match="is not a safetensors file"):
        ClipScorer(tmp_path / "absent.safetensors", model=tiny)

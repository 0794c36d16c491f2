"""Styles by retrieval: CSLS by hand, and a run judged with the mini vision tower in place of CLIP's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from amdm.errors import InputError
from amdm.loading import load_models
from amdm.model_set import LoadOptions
from bench.judges.clip_style import BATCH, ClipStyleJudge, csls
from bench.layouts.named import load_layouts
from bench.report.full_size import retrieval_table
from bench.run.read import read_table
from bench.stages.full_size import retrieve_styles
from tests.bench.conftest import JobRunner
from tests.bench.fakes import put_picture

HALF = 0.5**0.5


def unit(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_csls_by_hand() -> None:
    """cos 1 and 0.8; the picture's nearness is their mean 0.9, a reference's its own cosine."""
    found = csls(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.8, 0.6]]))
    assert found.tolist() == [pytest.approx([2 - 0.9 - 1, 1.6 - 0.9 - 0.8])]
    nearest = csls(unit(0, 90), unit(45, -60), neighbours=1)
    assert nearest[0].tolist() == pytest.approx([2 * HALF - HALF - HALF, 1 - HALF - 0.5])


def test_nearness_is_to_the_ten_nearest() -> None:
    """Of nine pictures at a cosine of 1, one at 0 and two at -1: 0.9."""
    found = csls(unit(*[0] * 9, 90, 180, 180), unit(0))
    assert found[0].tolist() == pytest.approx([2 - 1 - 0.9])


def test_a_reference_that_is_near_to_every_picture_is_not_everyones_answer() -> None:
    pictures, references = unit(0, 90), unit(45, -60, 150)
    assert (pictures @ references.T).argmax(1).tolist() == [0, 0]
    found = ClipStyleJudge(lambda images: torch.zeros(0)).retrieve(pictures, references, ["hub", "a", "b"])
    assert [one.found for one in found] == ["a", "b"] and all(one.margin > 0 for one in found)


def test_references_of_one_style_answer_together() -> None:
    judge = ClipStyleJudge(lambda images: torch.zeros(0))
    found = judge.retrieve(unit(0, 50), unit(0, 50, 180), ["x", "x", "y"])
    assert [one.found for one in found] == ["x", "x"]
    (alone,) = judge.retrieve(unit(0), unit(0), ["x"])
    assert alone.found == "x" and alone.margin == float("inf")


def test_pictures_are_read_as_they_are_encoded() -> None:
    """A run may have thousands: as many as one batch are held at once."""
    read, batches = [], []

    def encode(images: Sequence[np.ndarray]) -> torch.Tensor:
        batches.append((len(read), len(images)))
        return torch.tensor([[float(one.mean()), 0.0] for one in images])

    def pictures() -> Iterator[np.ndarray]:
        for k in range(BATCH + 3):
            read.append(k)
            yield np.full((2, 2, 3), k, np.uint8)

    found = ClipStyleJudge(encode).features(pictures())
    assert batches == [(BATCH, BATCH), (BATCH + 3, 3)] and found[:, 0].tolist() == list(range(BATCH + 3))


@pytest.fixture(scope="module")
def judge() -> ClipStyleJudge:
    adapter: Any = load_models("mini", ("ip-adapter",), LoadOptions()).models["ip-adapter"]

    def encode(images: Sequence[np.ndarray]) -> torch.Tensor:
        pixels = adapter.image_processor([Image.fromarray(one) for one in images], return_tensors="pt").pixel_values
        with torch.inference_mode():
            return torch.nn.functional.normalize(adapter.image_encoder(pixels).image_embeds, dim=-1)

    return ClipStyleJudge(encode)


def test_a_run_is_judged_by_its_references(run_fake_job: JobRunner, judge: ClipStyleJudge) -> None:
    folder = run_fake_job(layouts="mini-combined", methods=("migc@combined",), limit=20)
    entries = {entry.index: entry for entry in load_layouts("mini-combined").entries}
    samples = read_table(folder, "samples")
    for row in samples[samples.method == "migc@combined"].to_dict("records"):
        style = entries[row["layout_index"]].style
        assert style is not None
        put_picture(folder, row["image"], style)  # the very references
    found = retrieve_styles(folder, judge)
    assert len(found) == len(samples) == 40
    assert (found.asked == [entries[index].style_name for index in found.layout_index]).all()
    table = retrieval_table(found).set_index("method")
    styles = len({entry.style_name for entry in load_layouts("mini-combined").subset(20).entries})
    assert set(table.chance) == {100 / styles} and set(table.n) == {20}
    own = table.loc["migc@combined"]
    assert own["style"] == 100 and own.low < 100 == own.high


def test_layouts_without_styles_are_refused(run_fake_job: JobRunner, judge: ClipStyleJudge) -> None:
    with pytest.raises(InputError, match="style: the layouts mini name no style pictures"):
        retrieve_styles(run_fake_job(limit=5), judge)


def test_each_reference_is_read_and_encoded_once(
    run_fake_job: JobRunner, judge: ClipStyleJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.stages import full_size

    read: list[Path] = []
    whole = full_size.load_style
    monkeypatch.setattr(full_size, "load_style", lambda path: read.append(path) or whole(path))
    retrieve_styles(run_fake_job(layouts="mini-combined", methods=("migc@combined",), limit=20), judge)
    assert len(read) == len(set(read)) > 1

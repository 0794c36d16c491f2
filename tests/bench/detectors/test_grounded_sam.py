"""GroundingDINO and SAM in small random configurations: the official rules, shared work, and weights from folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SamConfig,
    SamModel,
    SwinConfig,
)

from amdm.checkpoints.catalogue import DINO, SAM
from amdm.checkpoints.weights_folder import LOCK
from amdm.errors import InputError
from amdm.layout import Instance, Layout
from bench.cocomig.verdict import judge_placed, place_instance
from bench.detectors.detector import DetectorOptions, PictureError, Prompt
from bench.detectors.grounded_sam import GroundedSam, GroundingDino, Sam, load_grounded_sam
from bench.detectors.random_weights import letter_tokenizer
from bench.detectors.registry import detector_facts, load_detector
from bench.layouts.layout_set import Label
from bench.stages.verdicts import Picture, judge_images
from tests.closeness import ROUNDING, to_double

BOX_PIXELS = 512 * 8 * ROUNDING
"""Boxes are made float32 and then pixels of 512: a few roundings."""

IOU_BOUND = 4 * BOX_PIXELS / 15
"""Four sides off by that, where boxes are 15 pixels wide or wider."""

MASK_PIXELS = 26
"""Of 512²: one in ten thousand may have a logit that is zero to float32's precision, in which masks are enlarged."""


@cache
def tiny_dino() -> Any:
    torch.manual_seed(0)
    swin = SwinConfig(
        window_size=2, image_size=32, embed_dim=16, depths=[1] * 4, num_heads=[1, 1, 2, 2], out_indices=[2, 3, 4]
    )
    bert = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    sizes = {f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in (("layers", 2), ("ffn_dim", 32))}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = GroundingDinoConfig(
        backbone_config=swin, text_config=bert, d_model=32, num_queries=20, auxiliary_loss=False, **sizes, **heads
    )
    return GroundingDinoForObjectDetection(config).eval()


@cache
def tiny_sam() -> Any:
    torch.manual_seed(1)
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 128}
    vision |= {"output_channels": 32, "global_attn_indexes": [1], "window_size": 4, "num_pos_feats": 16}
    config = SamConfig(
        vision_config={**vision, "initializer_range": 0.5},
        prompt_encoder_config={"hidden_size": 32, "image_size": 128},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2, "mlp_dim": 32, "iou_head_hidden_dim": 16},
    )
    return SamModel(config).eval()


@pytest.fixture(scope="module")
def judge() -> GroundedSam:
    return GroundedSam(GroundingDino(tiny_dino(), letter_tokenizer()), Sam(tiny_sam()), "tiny")


@pytest.fixture(scope="module")
def exact() -> GroundedSam:
    """The judge in float64, where the order of additions moves no box over a threshold."""
    return GroundedSam(GroundingDino(to_double(tiny_dino()), letter_tokenizer()), Sam(to_double(tiny_sam())), "tiny")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Blocks of colours that SAM's masks cut at random, so that verdicts differ."""
    rng = np.random.default_rng(0)
    return [np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((64, 64, 1))).astype(np.uint8) for _ in range(3)]


@pytest.fixture(scope="module")
def pictures(exact: GroundedSam, images: list[np.ndarray]) -> list[Picture]:
    """Layouts whose boxes are what the network finds (the place is right) or lie elsewhere; categories repeat."""
    found = exact.find(images, [["cat", "dining table"]] * 3)
    pictures = []
    for k, own in enumerate(found):
        instances, labels = [], []
        for n, (category, colour) in enumerate([("cat", "red"), ("cat", "green"), ("dining table", "blue")]):
            inside = [b / 512 for b in own.detections[category].boxes if b.min() >= 0 and b.max() <= 512]
            box = inside[n] if n != 1 or k else np.array([0.0, 0.0, 0.03, 0.9])
            instances.append(Instance(f"a {colour} {category}", tuple(map(float, box))))
            labels.append(Label.parse(f"a {colour} {category}"))
        pictures.append(Picture("m", 0, SimpleNamespace(layout=Layout("x", tuple(instances)), labels=labels), Path()))
    return pictures


def counting(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, size: Callable[..., int]) -> list[int]:
    """The sizes with which a module's method is called."""
    calls: list[int] = []
    original = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(size(*args, **kwargs))
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


@pytest.mark.numeric
def test_work_is_shared_and_verdicts_are_those_of_one_instance_at_a_time(
    exact: GroundedSam, images: list[np.ndarray], pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = []
    for image, picture in zip(images, pictures, strict=True):
        for label, instance in zip(picture.entry.labels, picture.entry.layout.instances, strict=True):
            (found,) = exact.find([image], [[label.category]])
            placed = place_instance((512, 512), instance.box, found.detections[label.category])
            masks = found.segment([Prompt(label.category, placed.target, placed.best)]) if placed.success else [None]
            alone.append(judge_placed(image, label.colour, placed, masks[0]))
    assert len({one.failure for one in alone} - {"nothing_detected"}) >= 2 and any(one.success for one in alone)

    dino, sam = exact.dino.model, exact.sam.model
    texts = counting(monkeypatch, dino, "forward", lambda **inputs: len(inputs["input_ids"]))
    encodings = counting(monkeypatch, sam.vision_encoder, "forward", lambda pixels, **_: len(pixels))
    decodings = counting(
        monkeypatch, sam.mask_decoder, "forward", lambda **inputs: inputs["sparse_prompt_embeddings"].shape[1]
    )
    together = [one.verdict for own in judge_images(exact, images, pictures) for one in own]
    assert sum(texts) == 6 and len(texts) == 2  # three pictures of two categories, four queries at once
    assert encodings == [1, 1, 1]
    assert decodings == [sum(one.success for one in alone[k : k + 3]) for k in (0, 3, 6)]
    for one, other in zip(together, alone, strict=True):
        assert one.failure == other.failure
        assert one.iou == pytest.approx(other.iou, abs=IOU_BOUND)
        for ours, theirs in ((one.mask_px, other.mask_px), (one.hit_px, other.hit_px)):
            assert (ours is None) == (theirs is None) and abs((ours or 0) - (theirs or 0)) <= MASK_PIXELS


def test_nothing_is_segmented_where_no_place_is_right(
    judge: GroundedSam, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    encodings = counting(monkeypatch, tiny_sam().vision_encoder, "forward", lambda pixels, **_: len(pixels))
    layout = Layout("x", (Instance("a red cat", (0.0, 0.0, 0.01, 0.9)), Instance("a red cat", (0.0, 0.0, 0.02, 1.0))))
    entry = SimpleNamespace(layout=layout, labels=[Label.parse("a red cat")] * 2)
    (judged,) = judge_images(judge, images[:1], [Picture("m", 0, entry, Path())])
    assert [one.verdict.failure for one in judged] == ["wrong_place"] * 2 and encodings == []


def test_inputs_are_the_official_ones(
    judge: GroundedSam, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    original = tiny_dino().forward
    monkeypatch.setattr(tiny_dino(), "forward", lambda **inputs: seen.update(inputs) or original(**inputs))
    judge.find(images[:1], [[" Dining Table"]])
    tokens = letter_tokenizer().convert_ids_to_tokens(seen["input_ids"][0])
    assert " ".join(tokens) == "[CLS] d ##i ##n ##i ##n ##g t ##a ##b ##l ##e . [SEP]"
    assert seen["input_ids"][0][[0, -2, -1]].tolist() == [101, 1012, 102]
    assert seen["pixel_values"].shape == (1, 3, 800, 800)
    corner = (images[0][0, 0] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(seen["pixel_values"][0, :, 0, 0], corner, atol=1e-5)


def official_boxes(logits: torch.Tensor, boxes: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The official rule: queries whose largest token probability is above 0.25; cxcywh·512 → xyxy, float32."""
    scores = logits.sigmoid().max(dim=1).values
    kept = scores > 0.25
    scaled = boxes[kept] * 512
    centre, half = scaled[:, :2], scaled[:, 2:] / 2
    return torch.cat([centre - half, centre + half], 1).numpy(), scores[kept].numpy()


def test_post_processing_is_the_official_rule(
    judge: GroundedSam, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.full((1, 900, 256), -torch.inf)
    logits[:, :, :4] = torch.randn(1, 900, 4, generator=generator) * 2 - 3
    logits[0, 0, :4] = torch.logit(torch.tensor(0.25))  # on the threshold, which is not above it
    boxes = torch.rand(1, 900, 4, generator=generator)
    made = SimpleNamespace(logits=logits.clone(), pred_boxes=boxes.clone())
    monkeypatch.setattr(tiny_dino(), "forward", lambda **inputs: made)
    (found,) = judge.find(images[:1], [["cat"]])
    expected_boxes, expected_scores = official_boxes(logits[0], boxes[0])
    assert 50 < len(expected_scores) < 850
    np.testing.assert_array_equal(found.detections["cat"].scores, expected_scores)
    np.testing.assert_allclose(found.detections["cat"].boxes, expected_boxes, atol=1e-4)
    assert found.detections["cat"].boxes.min() < 0  # not cut at the border


def test_sam_gets_the_target_box_and_gives_three_masks(
    judge: GroundedSam, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = []
    original = tiny_sam().prompt_encoder.forward
    monkeypatch.setattr(
        tiny_sam().prompt_encoder, "forward", lambda **inputs: boxes.append(inputs["input_boxes"]) or original(**inputs)
    )
    (found,) = judge.find(images[:1], [["cat"]])
    (masks,) = found.segment([Prompt("cat", np.array([51.2, 0.0, 512.0, 256.0]), 0)])
    np.testing.assert_allclose(boxes[0].numpy(), [[[12.8, 0.0, 128.0, 64.0]]], rtol=1e-6)
    assert masks.masks.shape == (3, 512, 512) and masks.masks.dtype == bool and masks.scores.shape == (3,)


def test_a_mask_is_where_its_logit_is_above_0(images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.full((1, 1, 3, 32, 32), -0.01)
    logits[..., :16] = 0.01
    made = SimpleNamespace(pred_masks=logits, iou_scores=torch.tensor([[[0.1, 0.9, 0.2]]]))
    monkeypatch.setattr(tiny_sam(), "forward", lambda **inputs: made)
    (masks,) = Sam(tiny_sam()).segment(images[0], [np.array([0.0, 0.0, 100.0, 100.0])])
    assert masks.masks[:, :, :256].all() and not masks.masks[:, :, 256:].any()
    assert masks.scores.tolist() == pytest.approx([0.1, 0.9, 0.2])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_boxes_and_masks_in_float32(images: list[np.ndarray], dtype: torch.dtype) -> None:
    dino = GroundingDinoForObjectDetection(tiny_dino().config).to(dtype)
    half = GroundedSam(GroundingDino(dino, letter_tokenizer()), Sam(SamModel(tiny_sam().config).to(dtype)), "tiny")
    (found,) = half.find(images[:1], [["cat"]])
    assert found.detections["cat"].boxes.dtype == np.float32 and np.isfinite(found.detections["cat"].boxes).all()
    assert found.segment([Prompt("cat", np.array([0.0, 0.0, 100.0, 100.0]), 0)])[0].masks.shape == (3, 512, 512)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_half_precision_sees_what_float32_sees(images: list[np.ndarray], dtype: torch.dtype) -> None:
    half = GroundingDinoForObjectDetection(tiny_dino().config)
    half.load_state_dict(tiny_dino().state_dict())
    seen = []
    for model in (tiny_dino(), half.to(dtype)):
        dino = GroundingDino(model, letter_tokenizer())
        inputs = dino.processor(images=[Image.fromarray(images[0])], text=["cat."], return_tensors="pt")
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        seen.append(model(**inputs).encoder_last_hidden_state_vision.float())
    assert (seen[1] - seen[0]).abs().mean() < 0.05 * seen[0].abs().mean()


@pytest.mark.parametrize("broken", ["dino", "sam"])
def test_answers_that_are_no_numbers_are_not_taken_for_nothing_found(images: list[np.ndarray], broken: str) -> None:
    dino, sam = GroundingDinoForObjectDetection(tiny_dino().config), SamModel(tiny_sam().config)
    with torch.no_grad():  # as where half precision overflows
        for one in {"dino": dino.bbox_embed, "sam": sam.mask_decoder}[broken].parameters():
            one.fill_(float("nan"))
    judge = GroundedSam(GroundingDino(dino, letter_tokenizer()), Sam(sam), "tiny")
    with pytest.raises(PictureError, match=r"answers with what is not a number, in float32"):
        (found,) = judge.find(images[:1], [["cat"]])
        found.segment([Prompt("cat", np.array([0.0, 0.0, 100.0, 100.0]), 0)])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    tiny_dino().save_pretrained(folder / DINO)
    letter_tokenizer().save_pretrained(folder / DINO)
    tiny_sam().save_pretrained(folder / SAM)
    return folder


@pytest.mark.numeric
def test_weights_from_folders_give_the_same_answers(
    judge: GroundedSam, exact: GroundedSam, images: list[np.ndarray], saved: Path
) -> None:
    loaded = load_detector("grounded-sam", weights_dir=saved, device="cpu")
    for ours, theirs in ((loaded.dino, judge.dino), (loaded.sam, judge.sam)):
        read, kept = ours.model.state_dict(), theirs.model.state_dict()
        assert read.keys() == kept.keys() and all(torch.equal(read[name], kept[name]) for name in kept)
    # What is read lies elsewhere in memory, and sums are added up in another order: answers are compared in float64.
    prompt = [Prompt("cat", np.array([10.0, 20.0, 300.0, 400.0]), 0)]
    twin = load_grounded_sam(saved, "cpu", torch.float64, "x")
    (ours,), (theirs,) = twin.find(images[:1], [["cat"]]), exact.find(images[:1], [["cat"]])
    np.testing.assert_allclose(ours.detections["cat"].boxes, theirs.detections["cat"].boxes, atol=BOX_PIXELS)
    assert (ours.segment(prompt)[0].masks != theirs.segment(prompt)[0].masks).sum() <= MASK_PIXELS
    assert loaded.revision == detector_facts(DetectorOptions("grounded-sam", saved)).revision


def test_revision_follows_every_weight_file(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "w")
    options = DetectorOptions("grounded-sam", tmp_path / "w")
    seen = {detector_facts(options).revision}
    for path in (f"{DINO}/model.safetensors", f"{SAM}/model.safetensors", f"{SAM}/config.json"):
        (tmp_path / "w" / LOCK).unlink(missing_ok=True)
        (tmp_path / "w" / path).open("ab").write(b" ")
        seen.add(detector_facts(options).revision)
    assert len(seen) == 4


def test_absent_or_wrong_weights_are_refused(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMDM_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"model.safetensors: is absent: run `amdm weights fetch --profile judge`"):
        load_detector("grounded-sam")
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    (tmp_path / LOCK).unlink(missing_ok=True)
    shutil.copy(saved / SAM / "model.safetensors", tmp_path / DINO / "model.safetensors")
    with pytest.raises(InputError, match="grounding-dino-tiny: lacks the tensor"):
        load_grounded_sam(tmp_path, "cpu", torch.float32, "x")

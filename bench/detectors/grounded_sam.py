"""The official judge: GroundingDINO finds, SAM segments what is asked for, prompted with the target box."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from amdm.checkpoints.catalogue import DINO, SAM
from amdm.errors import InputError
from bench.cocomig.verdict import OFFICIAL_CANVAS, Detections, Masks
from bench.detectors.detector import DetectionResult, DetectorOptions, DetectorSpec, PictureError, Prompt, torch_device
from bench.detectors.weights import repository_digest, repository_folder

BOX_THRESHOLD = 0.25
"""Queries whose largest token probability is above it are boxes."""
TEXT_THRESHOLD = 0.25
"""Decides the decoded phrase alone, which nothing here reads."""
QUERY_BATCH_SIZE = 4
MASK_THRESHOLD = 0.0
"""On mask logits, after they are scaled up to the picture."""


class GroundedSam:
    """Behind the detector's protocol: one query for each distinct category of a picture, one encoding a picture."""

    name = "grounded-sam"
    canvas: int | None = OFFICIAL_CANVAS

    def __init__(self, dino: GroundingDino, sam: Sam, revision: str) -> None:
        self.dino, self.sam, self.revision = dino, sam, revision

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """Pictures uint8 RGB (512, 512, 3); see :class:`bench.detectors.detector.Detector`."""
        found = self.dino.find(images, categories)
        return [DetectionResult(own, partial(self._segment, image)) for image, own in zip(images, found, strict=True)]

    def _segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Masks]:
        return self.sam.segment(image, [one.box for one in prompts])


class RandomGroundedSam(GroundedSam):
    """Random boxes are seldom where a layout wants them, and SAM would never be asked; so it segments every picture's
    whole frame too, and the answer is dropped."""

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """See :class:`bench.detectors.detector.Detector`."""
        for image in images:
            height, width = image.shape[:2]
            self.sam.segment(image, [np.array([0.0, 0.0, width, height])])
        return super().find(images, categories)


def load_grounded_sam(weights_dir: Path | None, device: str, dtype: torch.dtype, revision: str) -> GroundedSam:
    """Both networks from folders in transformers' form, safetensors only.

    Raises:
        InputError: a folder is absent, or is not of that network.
    """
    from transformers import BertTokenizerFast, GroundingDinoForObjectDetection, SamModel

    dino_folder, sam_folder = repository_folder(DINO, weights_dir), repository_folder(SAM, weights_dir)
    dino = _network(GroundingDinoForObjectDetection, dino_folder, device, dtype)
    sam = _network(SamModel, sam_folder, device, dtype)
    tokenizer = BertTokenizerFast.from_pretrained(dino_folder, local_files_only=True)
    return GroundedSam(GroundingDino(dino, tokenizer), Sam(sam), revision)


def _network(kind: Any, folder: Path, device: str, dtype: torch.dtype) -> Any:
    """Weights that lack a tensor are refused: transformers would fill it with random numbers."""
    try:
        model, info = kind.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # whatever is wrong with a file, it is the file that is wrong
        raise InputError(f"cannot be read as {kind.__name__} ({error})", file=folder) from error
    if info["missing_keys"]:
        raise InputError(f"lacks the tensor {sorted(info['missing_keys'])[0]}", file=folder)
    return model.to(device)


class GroundingDino:
    """The network with its processors: PIL-bilinear resize to a shorter side of 800 (longer at most 1333), ImageNet
    mean and deviation. The numbers of the protocol stand here, not in files beside the weights.

    Args:
        model: GroundingDinoForObjectDetection on its device, in its dtype.
        tokenizer: BERT's.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        from transformers import GroundingDinoImageProcessorPil, GroundingDinoProcessor

        self.model = model.eval()
        if torch.finfo(model.dtype).bits < 32:
            _sample_in_float32(model)
        self.processor = GroundingDinoProcessor(GroundingDinoImageProcessorPil(), tokenizer)

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[dict[str, Detections]]:
        """Pictures uint8 RGB (H, W, 3), all of one size; for each its categories → boxes by category.

        Boxes are xyxy in pixels, float32, not cut at the border, before any suppression.

        Raises:
            PictureError: the network answers with NaN.
        """
        queries = [(k, name) for k, own in enumerate(categories) for name in dict.fromkeys(own)]
        found: list[dict[str, Detections]] = [{} for _ in images]
        for start in range(0, len(queries), QUERY_BATCH_SIZE):
            these = queries[start : start + QUERY_BATCH_SIZE]
            answers = self._answer([images[k] for k, _ in these], [name for _, name in these])
            for (k, name), answer in zip(these, answers, strict=True):
                found[k][name] = answer
        return found

    @torch.inference_mode()
    def _answer(self, images: list[np.ndarray], names: list[str]) -> list[Detections]:
        captions = [f"{name.lower().strip()}." for name in names]
        pictures = [Image.fromarray(image) for image in images]
        inputs = self.processor(images=pictures, text=captions, padding=True, return_tensors="pt").to(self.model.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        outputs = self.model(**inputs)
        outputs.logits, outputs.pred_boxes = outputs.logits.float().cpu(), outputs.pred_boxes.float().cpu()
        _check_numbers("GroundingDINO", self.model, outputs.logits, outputs.pred_boxes)
        results = self.processor.post_process_grounded_object_detection(
            outputs,
            inputs["input_ids"].cpu(),
            threshold=BOX_THRESHOLD,
            text_threshold=TEXT_THRESHOLD,
            target_sizes=[image.shape[:2] for image in images],
        )
        return [Detections(one["boxes"].numpy(), one["scores"].numpy()) for one in results]


class Sam:
    """The network with its processor: PIL-bilinear resize of the longer side to the network's (1024), SAM's mean and
    deviation.

    Args:
        model: SamModel on its device, in its dtype.
    """

    def __init__(self, model: Any) -> None:
        from transformers import SamImageProcessorPil, SamProcessor

        self.model = model.eval()
        side = model.config.vision_config.image_size
        low = side // 4
        self.processor = SamProcessor(
            SamImageProcessorPil(
                size={"longest_edge": side},
                pad_size={"height": side, "width": side},
                mask_size={"longest_edge": low},
                mask_pad_size={"height": low, "width": low},
            )
        )

    @torch.inference_mode()
    def segment(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Masks]:
        """A picture uint8 RGB (H, W, 3) and boxes (4,), xyxy in pixels → three masks a box with predicted scores.

        The picture is encoded once, and all boxes are decoded together.

        Raises:
            PictureError: the network answers with NaN.
        """
        prompts = [[box.tolist() for box in boxes]]
        inputs = self.processor(Image.fromarray(image), input_boxes=prompts, return_tensors="pt")
        outputs = self.model(
            pixel_values=inputs["pixel_values"].to(self.model.device, self.model.dtype),
            input_boxes=inputs["input_boxes"].to(self.model.device, torch.float32),
            multimask_output=True,
        )
        logits, scores = outputs.pred_masks.float().cpu(), outputs.iou_scores.float().cpu()
        _check_numbers("SAM", self.model, logits, scores)
        (masks,) = self.processor.post_process_masks(
            logits, inputs["original_sizes"], inputs["reshaped_input_sizes"], mask_threshold=MASK_THRESHOLD
        )
        return [Masks(own.numpy(), score.numpy()) for own, score in zip(masks, scores[0], strict=True)]


def _sample_in_float32(model: Any) -> None:
    """Deformable attention in float32, in a network in half precision: there torch's grid_sample reads memory outside
    of what it samples on the CPU (values of 10³⁶ from ones of 4), and boxes are nonsense or NaN."""

    def widen(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(one.float() if torch.is_tensor(one) and one.is_floating_point() else one for one in inputs)

    def narrow(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        return output.to(model.dtype)

    for module in model.modules():
        if type(module).__name__ == "MultiScaleDeformableAttention":
            module.register_forward_pre_hook(widen)
            module.register_forward_hook(narrow)


def _check_numbers(name: str, model: Any, *answers: torch.Tensor) -> None:
    """Raise PictureError for NaN, which no threshold lets through: it would be as if nothing had been found."""
    if any(torch.isnan(one).any() for one in answers):
        dtype = str(model.dtype).removeprefix("torch.")
        raise PictureError(f"{name} answers with what is not a number, in {dtype}; float32 has the widest range")


def _revision(options: DetectorOptions, rehash: bool) -> str:
    digests = [repository_digest(repository, options.weights_dir, rehash) for repository in (DINO, SAM)]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _load(options: DetectorOptions, revision: str) -> GroundedSam:
    device, dtype = torch_device(options), getattr(torch, options.dtype or "float32")
    if options.random_weights:
        from bench.detectors.random_weights import random_networks

        dino, tokenizer, sam = random_networks(device, dtype)
        return RandomGroundedSam(GroundingDino(dino, tokenizer), Sam(sam), revision)
    return load_grounded_sam(options.weights_dir, device, dtype, revision)


SPEC = DetectorSpec(
    label=GroundedSam.name,
    thresholds={"box": BOX_THRESHOLD, "text": TEXT_THRESHOLD, "mask": MASK_THRESHOLD},
    canvas=GroundedSam.canvas,
    revision=_revision,
    load=_load,
    dtypes=("float32", "bfloat16", "float16"),
    heavy=True,
    random=True,
)

"""GroundingDINO (SwinT-OGC) as the official evaluator uses it: one category a query, the caption ``<category>.``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import GroundingDinoImageProcessorPil, GroundingDinoProcessor

from bench.judge import Detections

BOX_THRESHOLD = 0.25
"""Queries whose largest token probability is above it are boxes."""
TEXT_THRESHOLD = 0.25
"""Decides the decoded phrase alone, which nothing here reads."""
QUERIES_TOGETHER = 4


class GroundingDino:
    """The network with its processors: PIL-bilinear resize to a shorter side of 800 (longer at most 1333), ImageNet
    mean and deviation. The numbers of the protocol stand here, not in files beside the weights.

    Args:
        model: GroundingDinoForObjectDetection on its device, in its dtype.
        tokenizer: BERT's.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval()
        self.processor = GroundingDinoProcessor(GroundingDinoImageProcessorPil(), tokenizer)

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[dict[str, Detections]]:
        """Pictures uint8 RGB (H, W, 3), all of one size; for each its categories → boxes by category.

        Boxes are xyxy in pixels, float32, not cut at the border, before any suppression.
        """
        queries = [(k, name) for k, own in enumerate(categories) for name in dict.fromkeys(own)]
        found: list[dict[str, Detections]] = [{} for _ in images]
        for start in range(0, len(queries), QUERIES_TOGETHER):
            these = queries[start : start + QUERIES_TOGETHER]
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
        results = self.processor.post_process_grounded_object_detection(
            outputs,
            inputs["input_ids"].cpu(),
            threshold=BOX_THRESHOLD,
            text_threshold=TEXT_THRESHOLD,
            target_sizes=[image.shape[:2] for image in images],
        )
        return [Detections(one["boxes"].numpy(), one["scores"].numpy()) for one in results]

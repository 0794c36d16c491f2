"""SAM (ViT-H), prompted with boxes, as the official evaluator uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import SamImageProcessorPil, SamProcessor

from bench.judge import Masks

MASK_THRESHOLD = 0.0
"""On mask logits, after they are scaled up to the picture."""


class Sam:
    """The network with its processor: PIL-bilinear resize of the longer side to the network's (1024), SAM's mean and
    deviation.

    Args:
        model: SamModel on its device, in its dtype.
    """

    def __init__(self, model: Any) -> None:
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
        """
        prompts = [[box.tolist() for box in boxes]]
        inputs = self.processor(Image.fromarray(image), input_boxes=prompts, return_tensors="pt")
        outputs = self.model(
            pixel_values=inputs["pixel_values"].to(self.model.device, self.model.dtype),
            input_boxes=inputs["input_boxes"].to(self.model.device, torch.float32),
            multimask_output=True,
        )
        logits, scores = outputs.pred_masks.float().cpu(), outputs.iou_scores.float().cpu()
        (masks,) = self.processor.post_process_masks(
            logits, inputs["original_sizes"], inputs["reshaped_input_sizes"], mask_threshold=MASK_THRESHOLD
        )
        return [Masks(own.numpy(), score.numpy()) for own, score in zip(masks, scores[0], strict=True)]

"""The official judge: GroundingDINO finds, SAM segments what is asked for, prompted with the target box."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amdm.checkpoints.catalogue import DINO, SAM
from amdm.errors import InputError
from bench.detection.detector import Found, Prompt
from bench.detection.grounding_dino import GroundingDino
from bench.detection.sam import Sam
from bench.detection.weight_files import repository_folder
from bench.judge import OFFICIAL_CANVAS, Masks


class GroundedSam:
    """Behind the detector's protocol: one query for each distinct category of a picture, one encoding a picture."""

    name = "grounded-sam"
    canvas: int | None = OFFICIAL_CANVAS

    def __init__(self, dino: GroundingDino, sam: Sam, revision: str) -> None:
        self.dino, self.sam, self.revision = dino, sam, revision

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[Found]:
        """Pictures uint8 RGB (512, 512, 3); see :class:`bench.detection.detector.Detector`."""
        found = self.dino.find(images, categories)
        return [Found(own, partial(self._segment, image)) for image, own in zip(images, found, strict=True)]

    def _segment(self, image: np.ndarray, prompts: Sequence[Prompt]) -> list[Masks]:
        return self.sam.segment(image, [one.box for one in prompts])


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

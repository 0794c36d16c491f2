"""Features of pictures: of the mini world's image tower, which needs no download, and of a CLIP model of open_clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from amdm.errors import InputError

Features = Callable[[Sequence[np.ndarray]], torch.Tensor]
"""Pictures, uint8 RGB (H, W, 3) → (N, D) float32."""
MODEL = "ViT-L-14-quickgelu"


def mini_features() -> Features:
    """Class token and mean over patches of the last layer of the mini IP-Adapter's image tower, (N, 192)."""
    from amdm.mini.models import MiniModels
    from amdm.mini.weights_folder import WEIGHTS

    adapter = MiniModels.load(WEIGHTS).ip_adapter  # the same whatever models have drawn the pictures
    tower, processor = adapter.image_encoder.vision_model, adapter.image_processor

    @torch.inference_mode()
    def features(images: Sequence[np.ndarray]) -> torch.Tensor:
        pixels = processor([Image.fromarray(one) for one in images], return_tensors="pt").pixel_values
        states = tower(pixels).last_hidden_state.float()
        return torch.cat([states[:, 0], states[:, 1:].mean(1)], dim=1)

    return features


class OpenClip:
    """model, transform: open_clip's.

    Args:
        weights: a safetensors file in open_clip's form; None leaves random weights, whose features mean nothing.

    Raises:
        InputError: no such file, or one that does not fit the model.
    """

    def __init__(self, weights: Path | None, device: str = "cpu", model: str = MODEL) -> None:
        from open_clip import create_model, image_transform

        if weights is not None and (not weights.is_file() or weights.suffix != ".safetensors"):
            raise InputError("is not a safetensors file", file=weights)
        try:
            self.model = create_model(model, pretrained=str(weights) if weights else None, device=device).eval()
        except Exception as error:  # open_clip lets through what torch and safetensors raise
            raise InputError(f"cannot be read as weights of {model}: {error}", file=weights) from error
        self.transform = image_transform(self.model.visual.image_size, is_train=False)
        self.device = device

    @torch.inference_mode()
    def features(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Of pictures uint8 RGB (H, W, 3), of length 1: float32 (N, D)."""
        batch = torch.stack([self.transform(Image.fromarray(one)) for one in images])
        return torch.nn.functional.normalize(self.model.encode_image(batch.to(self.device)).float(), dim=-1)

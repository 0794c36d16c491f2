"""Features of pictures that need no download, which KID compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

Features = Callable[[Sequence[np.ndarray]], torch.Tensor]
"""Pictures, uint8 RGB (H, W, 3) → (N, D) float32."""


def mini_features() -> Features:
    """Class token and mean over patches of the last layer of the mini IP-Adapter's image tower, (N, 192)."""
    from amdm.mini.models import MiniModels

    adapter = MiniModels.load().ip_adapter
    tower, processor = adapter.image_encoder.vision_model, adapter.image_processor

    @torch.inference_mode()
    def features(images: Sequence[np.ndarray]) -> torch.Tensor:
        pixels = processor([Image.fromarray(one) for one in images], return_tensors="pt").pixel_values
        states = tower(pixels).last_hidden_state.float()
        return torch.cat([states[:, 0], states[:, 1:].mean(1)], dim=1)

    return features

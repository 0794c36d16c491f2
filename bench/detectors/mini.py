"""The judge of the mini world: torchvision's Mask R-CNN on a small backbone, at the pictures' native size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from amdm.errors import InputError
from amdm.io.files import sha256
from amdm.mini.renderer import SIZE
from amdm.mini.vocabulary import CATEGORIES
from bench.cocomig.verdict import Detections, Masks
from bench.detectors.detector import DetectionResult, DetectorOptions, DetectorSpec, PictureError, Prompt
from bench.io.recorded_weights import load_recorded

SCORE_THRESHOLD = 0.25
"""GroundingDINO's box threshold in the official protocol; here on the score of each class."""

SHIPPED = Path(str(files("bench.detectors") / "weights" / "mini_judge.safetensors"))
WIDTH = 64
_LEVELS = ("0", "1", "2")


class Backbone(nn.Module):
    """Convolutions to strides 4, 8 and 16, then a feature pyramid of equal width."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 24, 2), _convolution(24, 24, 1))
        self.stages = nn.ModuleList(
            nn.Sequential(_convolution(before, after, 2), _convolution(after, after, 1), _convolution(after, after, 1))
            for before, after in ((24, 48), (48, 96), (96, 128))
        )
        self.pyramid = FeaturePyramidNetwork([48, 96, 128], WIDTH)
        self.out_channels = WIDTH

    def forward(self, x: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """(B, 3, H, W) → {"0": stride 4, "1": stride 8, "2": stride 16}, each of WIDTH channels."""
        x, found = self.stem(x), OrderedDict()
        for level, stage in zip(_LEVELS, self.stages, strict=True):
            x = stage(x)
            found[level] = x
        levels: OrderedDict[str, torch.Tensor] = self.pyramid(found)
        return levels


def build_detector() -> MaskRCNN:
    """Mask R-CNN over background and the eight shapes; pictures keep their 64×64 pixels."""
    pool = partial(MultiScaleRoIAlign, featmap_names=list(_LEVELS), sampling_ratio=2, canonical_scale=SIZE)
    return MaskRCNN(
        Backbone(),
        min_size=SIZE,
        max_size=SIZE,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
        rpn_anchor_generator=AnchorGenerator(((8, 14), (22, 32), (44, 60)), ((0.4, 1.0, 2.5),) * 3),
        rpn_pre_nms_top_n_train=300,
        rpn_post_nms_top_n_train=150,
        rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_test=80,
        rpn_batch_size_per_image=64,
        box_batch_size_per_image=48,
        box_roi_pool=pool(output_size=7),
        mask_roi_pool=pool(output_size=14),
        box_head=TwoMLPHead(WIDTH * 7 * 7, 192),
        box_score_thresh=SCORE_THRESHOLD,
        box_nms_thresh=0.6,
        box_detections_per_img=40,
        mask_head=MaskRCNNHeads(WIDTH, (WIDTH, WIDTH), 1),
        mask_predictor=MaskRCNNPredictor(WIDTH, WIDTH, 1 + len(CATEGORIES)),
        box_predictor=FastRCNNPredictor(192, 1 + len(CATEGORIES)),
    )


class MiniDetector:
    """The shipped judge, behind the detector's protocol.

    Raises:
        InputError: the weights are absent, or not those whose SHA-256 was recorded beside them.
    """

    name = "mini-judge"
    canvas: int | None = None

    def __init__(self, weights: Path | None = None) -> None:
        state, self.revision = load_recorded(weights or SHIPPED)
        self.model = build_detector().eval()
        self.model.load_state_dict(state)

    @torch.inference_mode()
    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """uint8 RGB (64, 64, 3) each; every class is looked for in one pass, each answers for itself alone."""
        for image in images:
            if image.shape != (SIZE, SIZE, 3) or image.dtype != np.uint8:
                size = "×".join(map(str, image.shape[:2]))
                raise PictureError(f"a picture of {size} pixels; the mini judge takes {SIZE}×{SIZE}")
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        outputs = self.model(list(batch))
        return [_found(output, wanted) for output, wanted in zip(outputs, categories, strict=True)]


def _found(output: dict[str, torch.Tensor], wanted: Sequence[str]) -> DetectionResult:
    own = {name: (output["labels"] == 1 + CATEGORIES.index(name)).nonzero().flatten() for name in wanted}
    masks = (output["masks"][:, 0] > 0.5).numpy()

    def segment(prompts: Sequence[Prompt]) -> list[Masks]:
        """The mask of each detection itself: one candidate."""
        return [Masks(masks[int(own[one.category][one.best])][None], np.ones(1)) for one in prompts]

    detections = {
        name: Detections(output["boxes"][these].numpy(), output["scores"][these].numpy()) for name, these in own.items()
    }
    return DetectionResult(detections, segment)


def _convolution(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.GroupNorm(8, after), nn.SiLU())


def _revision(_: DetectorOptions, rehash: bool) -> str:
    """As recorded beside the weights, which :class:`MiniDetector` compares with it."""
    path = SHIPPED.with_suffix(".sha256")
    if not path.is_file():
        raise InputError("the judge's weights are absent", file=path)
    return sha256(SHIPPED) if rehash else path.read_text(encoding="utf-8").strip()


def _load(options: DetectorOptions, _: str) -> MiniDetector:
    if options.device not in ("auto", "cpu"):
        raise InputError("the mini judge runs on the CPU", field="device")
    return MiniDetector()


SPEC = DetectorSpec(
    label=MiniDetector.name,
    thresholds={"score": SCORE_THRESHOLD},
    canvas=MiniDetector.canvas,
    revision=_revision,
    load=_load,
    categories=CATEGORIES,
)

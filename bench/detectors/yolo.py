"""A fast second judge: YOLO11x-seg of ultralytics, a closed set of COCO's 80 categories with masks.

ultralytics is AGPL-3.0 and no dependency of this project: it is an extra, and this adapter alone imports it, in a
process that only judges (it patches torch and OpenCV). Its own weight files are pickles, which can run code, so only
tensors are read. Whoever trusts such a file converts it once, where it may run code:

    from safetensors.torch import save_file
    from ultralytics import YOLO
    state = YOLO("yolo11x-seg.pt").model.float().state_dict()
    save_file({name: value.clone().contiguous() for name, value in state.items()}, "model.safetensors")

and puts the result at ``<weights>/yolo11x-seg/model.safetensors``.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.torch import load_file

from amdm.errors import InputError, unknown
from amdm.io.files import sha256
from bench.cocomig.verdict import NMS_THRESHOLD, OFFICIAL_CANVAS, Detections, Masks
from bench.detectors.detector import DetectionResult, DetectorOptions, DetectorSpec, Prompt, torch_device
from bench.detectors.weights import own_file
from bench.layouts.vocabulary import COCO

YOLO_FOLDER = "yolo11x-seg"
SCORE_THRESHOLD = 0.25
INPUT_SIDE = 640
_SWITCHES = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}
_OFF = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "vscode_msg", "openvino_msg")


class Yolo:
    """One pass a picture over all categories; each category answers for itself alone.

    Args:
        model: ultralytics' SegmentationModel with COCO's names.
        device: as torch names it.
    """

    name = "yolo"
    canvas: int | None = OFFICIAL_CANVAS

    def __init__(self, model: Any, device: str, revision: str) -> None:
        from ultralytics.models.yolo.segment import SegmentationPredictor

        self.revision = revision
        self.classes = {str(name): number for number, name in model.names.items()}
        settings = {"conf": SCORE_THRESHOLD, "iou": NMS_THRESHOLD, "imgsz": INPUT_SIDE, "retina_masks": True}
        self.predictor = SegmentationPredictor(
            overrides={**settings, "mode": "predict", "device": device, "verbose": False, "save": False}
        )
        self.predictor.setup_model(model, verbose=False)

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """Pictures uint8 RGB (512, 512, 3); see :class:`bench.detectors.detector.Detector`.

        Raises:
            InputError: a category that is not of COCO.
        """
        if strange := [name for own in categories for name in own if name not in self.classes]:
            raise unknown("category of the detector yolo", strange[0], self.classes, field="category")
        results = self.predictor([np.ascontiguousarray(image[..., ::-1]) for image in images])
        return [self._found(result, own) for result, own in zip(results, categories, strict=True)]

    def _found(self, result: Any, categories: Sequence[str]) -> DetectionResult:
        boxes = result.boxes.cpu().numpy()
        masks = (
            np.zeros((0, *result.orig_shape), bool) if result.masks is None else result.masks.data.bool().cpu().numpy()
        )
        own = {name: np.flatnonzero(boxes.cls == self.classes[name]) for name in categories}

        def segment(prompts: Sequence[Prompt]) -> list[Masks]:
            """The mask of each detection itself: one candidate."""
            return [Masks(masks[own[one.category][one.best]][None], np.ones(1)) for one in prompts]

        return DetectionResult({name: Detections(boxes.xyxy[k], boxes.conf[k]) for name, k in own.items()}, segment)


def load_yolo(weights_dir: Path | None, device: str, revision: str) -> Yolo:
    """Tensors from ``<weights>/yolo11x-seg/model.safetensors`` in the packaged architecture.

    Raises:
        InputError: ultralytics or the file is absent, or the file is not of that network.
    """
    path = own_file(YOLO_FOLDER, weights_dir)
    model = build_yolo("x")
    try:
        model.load_state_dict(load_file(path))
    except Exception as error:  # whatever is wrong with a file, it is the file that is wrong
        raise InputError(f"does not hold the tensors of {YOLO_FOLDER} ({error})", file=path) from error
    return Yolo(model, device, revision)


def build_yolo(scale: str) -> Any:
    """YOLO11-seg of a scale (n, s, m, l, x) with random weights and COCO's names, from the package's own files."""
    root = _prepared_package()
    from ultralytics.nn.tasks import SegmentationModel

    # The dictionary, not a file name: the package would look for that name in the working directory first.
    architecture = yaml.safe_load((root / "cfg/models/11/yolo11-seg.yaml").read_text(encoding="utf-8"))
    model = SegmentationModel({**architecture, "scale": scale}, verbose=False).eval()
    model.names = yaml.safe_load((root / "cfg/datasets/coco.yaml").read_text(encoding="utf-8"))["names"]
    return model


@cache
def _prepared_package() -> Path:
    """Where ultralytics lies, imported with telemetry, downloads and installations off and a settings file of its own.

    Raises:
        InputError: it is not installed, or was imported before, with these on.
    """
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise InputError("needs ultralytics (AGPL-3.0): pip install 'amdm[yolo]'", field="detector yolo")
    if "ultralytics" in sys.modules:
        raise InputError(
            "ultralytics was imported before its use of the network was switched off", field="detector yolo"
        )
    folder = tempfile.mkdtemp(prefix="amdm-yolo-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.update(_SWITCHES, YOLO_CONFIG_DIR=folder)
    from ultralytics.utils import SETTINGS

    SETTINGS.update(dict.fromkeys(_OFF, False))
    return Path(spec.origin).parent


def _load(options: DetectorOptions, revision: str) -> Yolo:
    return load_yolo(options.weights_dir, torch_device(options), revision)


SPEC = DetectorSpec(
    label=Yolo.name,
    thresholds={"score": SCORE_THRESHOLD, "nms": NMS_THRESHOLD},
    canvas=Yolo.canvas,
    revision=lambda options, _: sha256(own_file(YOLO_FOLDER, options.weights_dir)),
    load=_load,
    heavy=True,
    categories=COCO.categories,
)

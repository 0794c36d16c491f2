"""YOLO in its smallest size with random weights: no network, no pickle, masks that fit their boxes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file

from amdm.errors import InputError
from bench.detectors import yolo
from bench.detectors.detector import Prompt
from bench.layouts.vocabulary import COCO

pytestmark = pytest.mark.skipif(find_spec("ultralytics") is None, reason="the extra `yolo` is not installed")


@pytest.fixture(scope="module")
def judge() -> yolo.Yolo:
    return yolo.Yolo(yolo.build_yolo("n"), "cpu", "random")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (512, 512, 3)).astype(np.uint8) for _ in range(2)]


def test_every_category_of_the_benchmark_is_known(judge: yolo.Yolo) -> None:
    assert set(COCO.categories) == set(judge.classes)


def test_an_unknown_category_is_refused(judge: yolo.Yolo, images: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="category: unknown category of the detector yolo 'circle'; there are 80: "):
        judge.find(images[:1], [["cat", "circle"]])


def test_boxes_and_masks_are_of_their_category(
    judge: yolo.Yolo, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge.predictor.args, "conf", 1e-6)  # random weights are sure of nothing
    everything = list(judge.classes)
    together = judge.find(images, [everything, everything])
    assert [len(one.detections) for one in together] == [80, 80]
    names = [name for name in everything if len(together[0].detections[name].boxes)]
    assert names
    name = names[0]
    found = together[0].detections[name]
    masks = together[0].segment([Prompt(name, np.zeros(4), k) for k in range(len(found.boxes))])
    for box, mask in zip(found.boxes, masks, strict=True):
        ys, xs = np.nonzero(mask.masks[0])
        assert mask.masks.shape == (1, 512, 512) and mask.masks.dtype == bool
        assert xs.min() >= box[0] - 1 and xs.max() <= box[2] + 1 and ys.min() >= box[1] - 1 and ys.max() <= box[3] + 1
    (alone,) = judge.find(images[:1], [[name]])
    np.testing.assert_allclose(alone.detections[name].boxes, found.boxes, atol=0.05)


def test_nothing_found_is_no_error(judge: yolo.Yolo, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge.predictor.args, "conf", 1.0)
    (found,) = judge.find(images[:1], [["cat"]])
    assert found.detections["cat"].boxes.shape == (0, 4)


def test_tensors_alone_are_read(
    judge: yolo.Yolo, images: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = yolo.build_yolo
    monkeypatch.setattr(yolo, "build_yolo", lambda scale: original("n"))
    folder = tmp_path / "yolo11x-seg"
    folder.mkdir()
    (folder / "yolo11x-seg.pt").write_bytes(b"a pickle")
    with pytest.raises(InputError, match=r"model\.safetensors: is absent"):
        yolo.load_yolo(tmp_path, "cpu", "r")
    state: dict[str, Any] = {k: v.clone() for k, v in original("n").state_dict().items()}
    save_file(state, folder / "model.safetensors")
    loaded = yolo.load_yolo(tmp_path, "cpu", "r")
    assert loaded.find(images[:1], [["cat"]])[0].detections["cat"].boxes.shape[1] == 4
    state.pop(next(iter(state)))
    save_file(state, folder / "model.safetensors")
    with pytest.raises(InputError, match="does not hold the tensors"):
        yolo.load_yolo(tmp_path, "cpu", "r")


def test_the_package_is_imported_late_and_reaches_no_network(tmp_path: Path) -> None:
    code = """
import socket, sys
def refuse(*a, **k): raise AssertionError("network")
socket.getaddrinfo = socket.create_connection = refuse
socket.socket.connect = refuse
import bench.detectors.registry, bench.benchmark, bench.detectors.yolo as yolo
assert "ultralytics" not in sys.modules
yolo.Yolo(yolo.build_yolo("n"), "cpu", "r")
from ultralytics.utils import ONLINE, AUTOINSTALL, SETTINGS
from ultralytics.utils.events import events
assert not (ONLINE or AUTOINSTALL or SETTINGS["sync"] or events.enabled)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3]), "HOME": str(tmp_path)}
    environment |= {"MPLCONFIGDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "configuration")}
    (tmp_path / "here").mkdir()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path / "here", env=environment)
    assert not any((tmp_path / "here").iterdir()) and not (tmp_path / "configuration").exists()

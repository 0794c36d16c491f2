"""Marks of actions: a strip on the ground between two boxes, from the subject's edge to the object's."""

from __future__ import annotations

import cv2
import numpy as np

from amdm.layout import Box
from amdm.mini.scenes import Scene, SceneAction
from amdm.mini.vocabulary import ACTIONS

SIZE = 64
_SUPERSAMPLING = 3
HALF_WIDTH = 5.0
"""Pixels that a mark reaches to each side of its line."""
MIN_LENGTH = 9.0
"""Pixels; nearer boxes are in no interaction."""
_MAX_HIDDEN = 0.25
"""Share of the mark's strip that boxes may cover."""
_PIXELS = np.arange(SIZE, dtype=np.float32) + 0.5
_FINE = (np.arange(SIZE * _SUPERSAMPLING, dtype=np.float32) + 0.5) / _SUPERSAMPLING

# OpenCV's 8-bit HSV, no hue of a shape. (Orange lies in the official range of brown; a colour is looked for in the
# shapes alone.)
_HSV: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "joins": ((86, 92), (170, 230), (190, 240)),  # cyan
    "flanks": ((148, 153), (90, 140), (235, 255)),  # pink
    "chains": ((12, 16), (200, 250), (235, 255)),  # orange
    "pushes": ((132, 138), (150, 200), (200, 240)),  # purple, darker toward the object
}


def line_between(subject: Box, object: Box) -> tuple[np.ndarray, np.ndarray]:
    """The ends (x, y) in pixels of the mark: where the line of the centres leaves one box and enters the other."""
    boxes = np.array([subject, object]) * SIZE
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2
    way = centres[1] - centres[0]
    reach = np.min(halves / np.maximum(np.abs(way), 1e-6), axis=1)  # shares of the way that lie in the boxes
    return centres[0] + reach[0] * way, centres[1] - reach[1] * way


def mark_length(subject: Box, object: Box) -> float:
    """Pixels between the two boxes along the line of their centres; 0 or less where they touch on it."""
    start, end = line_between(subject, object)
    way = np.array(
        [(object[0] + object[2] - subject[0] - subject[2]), (object[1] + object[3] - subject[1] - subject[3])]
    )
    return float((end - start) @ way / max(1e-6, float(np.linalg.norm(way))))


def mark_coverage(action: str, subject: Box, object: Box) -> np.ndarray:
    """Share of each pixel that the mark covers, float32 (SIZE, SIZE), whatever stands over it."""
    s, d, length = _coordinates(subject, object, _FINE)
    across = np.abs(d)
    inside = (s >= 0) & (s <= 1)
    if action == "joins":
        inside &= across <= 3.5
    elif action == "flanks":
        inside &= (across >= 1.7) & (across <= HALF_WIDTH)
    elif action == "chains":
        count = max(1, round(length / 9))
        beat = (s * count) % 1 - 0.5
        inside &= (beat * length / count) ** 2 + across**2 <= 16
    else:
        inside &= across <= 0.8 + (HALF_WIDTH - 0.8) * (1 - s)
    blocks = inside.reshape(SIZE, _SUPERSAMPLING, SIZE, _SUPERSAMPLING)
    return np.asarray(blocks.mean((1, 3), dtype=np.float32))


def strip(subject: Box, object: Box) -> np.ndarray:
    """Where a mark of any kind may lie between two boxes, bool (SIZE, SIZE)."""
    s, d, _ = _coordinates(subject, object, _PIXELS)
    return np.asarray((s >= 0) & (s <= 1) & (np.abs(d) <= HALF_WIDTH))


def draw_marks(image: np.ndarray, scene: Scene, rng: np.random.Generator) -> None:
    """Draw the marks of the scene's actions into ``image``, float32 (SIZE, SIZE, 3)."""
    for one in scene.actions:
        ends = scene.objects[one.subject].box, scene.objects[one.object].box
        hsv = [int(rng.integers(low, high + 1)) for low, high in _HSV[one.action]]
        rgb = cv2.cvtColor(np.array([[hsv]], dtype=np.uint8), cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)
        paint = np.broadcast_to(rgb, (SIZE, SIZE, 3))
        if one.action == "pushes":
            s = np.clip(_coordinates(*ends, _PIXELS)[0], 0, 1)
            paint = rgb * (1 - 0.6 * s)[..., None]
        image += mark_coverage(one.action, *ends)[..., None] * (paint - image)


def sample_actions(rng: np.random.Generator, boxes: list[Box], most: int) -> tuple[SceneAction, ...]:
    """Up to ``most`` actions between boxes that stand apart, each pair once, their strips visible and not crossing."""
    pairs = [(a, b) for a in range(len(boxes)) for b in range(a) if mark_length(boxes[a], boxes[b]) >= MIN_LENGTH]
    hidden = _covered(boxes)
    crossed = np.zeros((SIZE, SIZE), dtype=bool)
    found: list[SceneAction] = []
    for k in rng.permutation(len(pairs)):
        area = strip(boxes[pairs[k][0]], boxes[pairs[k][1]])
        if (area & crossed).any() or (area & hidden).sum() > _MAX_HIDDEN * area.sum():
            continue
        crossed |= area
        subject, object = pairs[k] if rng.random() < 0.5 else pairs[k][::-1]
        found.append(SceneAction(subject, ACTIONS[int(rng.integers(len(ACTIONS)))], object))
        if len(found) == most:
            break
    return tuple(found)


def _covered(boxes: list[Box]) -> np.ndarray:
    covered = np.zeros((SIZE, SIZE), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        columns = slice(int(x1 * SIZE), int(np.ceil(x2 * SIZE)))
        covered[int(y1 * SIZE) : int(np.ceil(y2 * SIZE)), columns] = True
    return covered


def _coordinates(subject: Box, object: Box, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Of each point of a square grid: share of the way, pixels to the side; and the way's length."""
    start, end = (one.astype(np.float32) for one in line_between(subject, object))
    length = max(1e-6, mark_length(subject, object))
    way = (end - start) / max(1e-6, float(np.linalg.norm(end - start)))
    x, y = grid[None, :] - start[0], grid[:, None] - start[1]
    return (x * way[0] + y * way[1]) / np.float32(length), y * way[0] - x * way[1], length

"""The colours and categories that the labels of a layout set may use."""

from __future__ import annotations

from dataclasses import dataclass

from amdm.mini.vocabulary import CATEGORIES as SHAPES
from bench.colour import HSV_RANGES


@dataclass(frozen=True)
class Vocabulary:
    """Allowed words: colours (those that :mod:`bench.colour` can tell) and categories."""

    name: str
    colours: tuple[str, ...]
    categories: tuple[str, ...]


_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag,
tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard,
tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote,
keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""

COCO = Vocabulary("coco", tuple(HSV_RANGES), tuple(name.strip() for name in _COCO.split(",")))
"""The 80 categories of COCO's instance annotations."""

MINI = Vocabulary("mini", tuple(HSV_RANGES), SHAPES)
"""The shapes of the mini world."""

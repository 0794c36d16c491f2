"""CLIP score and local CLIP score with open_clip, as the official evaluator counts them.

Global: 100·cosine (CLIP's own logit scale) of the 512 picture with its caption. Local: of the crop of each box,
stretched to 512, with its label in the 80 ImageNet templates, mean over templates and then over instances. The official
evaluator passes pictures in BGR order; that reading is an option here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from open_clip import get_tokenizer
from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

from amdm.errors import InputError
from amdm.progress import Progress
from bench.cocomig.verdict import to_canvas
from bench.job.plan import Plan
from bench.judges.picture_features import MODEL, OpenClip
from bench.layouts.layout_set import Entry
from bench.run.images import read_stored
from bench.run.info import RunInfo, check_layouts
from bench.run.read import read_table

CANVAS, BATCH = 512, 16


class ClipScorer:
    """A CLIP model of open_clip.

    Args:
        weights: a safetensors file in open_clip's form; None leaves random weights, whose scores mean nothing.
        bgr: the official evaluator's channel order.
    """

    def __init__(self, weights: Path | None, device: str = "cpu", bgr: bool = False, model: str = MODEL) -> None:
        self.clip = OpenClip(weights, device, model)
        self.model, self.tokenizer = self.clip.model, get_tokenizer(model)
        self.device, self.bgr = device, bgr
        self.template_embedding = lru_cache(maxsize=None)(self._template_embedding)

    @torch.inference_mode()
    def global_scores(self, images: Sequence[np.ndarray], captions: Sequence[str]) -> list[float]:
        """One score a picture, uint8 RGB (512, 512, 3), with its own caption."""
        texts = self._texts(captions)
        return self._scores(self.image_features(images), texts)

    @torch.inference_mode()
    def local_scores(self, image: np.ndarray, entry: Entry) -> list[float]:
        """One score an instance of a picture, uint8 RGB (512, 512, 3)."""
        crops = [crop(image, one.box) for one in entry.layout.instances]
        texts = torch.stack([self.template_embedding(one.phrase) for one in entry.layout.instances])
        return self._scores(self.image_features(crops), texts)

    @torch.inference_mode()
    def image_features(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Unit embeddings (N, D), float32, of pictures, uint8 RGB (H, W, 3)."""
        ordered = [np.ascontiguousarray(one[..., ::-1]) if self.bgr else one for one in images]
        return self.clip.features(ordered)

    def _texts(self, texts: Sequence[str]) -> torch.Tensor:
        tokens = self.tokenizer(list(texts)).to(self.device)
        return torch.nn.functional.normalize(self.model.encode_text(tokens).float(), dim=-1)

    def _template_embedding(self, label: str) -> torch.Tensor:
        # The mean of logits over templates is the logit of the mean of their unit embeddings.
        return self._texts([template(label) for template in OPENAI_IMAGENET_TEMPLATES]).mean(0)

    def _scores(self, pictures: torch.Tensor, texts: torch.Tensor) -> list[float]:
        return (self.model.logit_scale.exp().float() * (pictures * texts).sum(-1)).tolist()


def crop(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """The box (xyxy in [0, 1]) cut at int() corners from a 512 picture and stretched to 512, at least one pixel."""
    x1, y1, x2, y2 = (int(side * CANVAS) for side in box)
    part = image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    return cv2.resize(part, (CANVAS, CANVAS))


def clip_scores(run: Path, scorer: ClipScorer) -> pd.DataFrame:
    """Scores of a run's pictures: columns method, layout_index, seed, level, clip, local_clip (mean over instances).

    Raises:
        InputError: it has no pictures, or its layouts, of which captions and labels are, are not those that were run.
    """
    info = RunInfo.read(run)
    layout_set = Plan.resolve(info.job).layout_set
    check_layouts(layout_set, info.settings, run)
    entries = {entry.index: entry for entry in layout_set.entries}
    samples = read_table(run, "samples")
    rows = samples[samples.status == "ok"].to_dict("records")
    if not rows:
        raise InputError("holds no pictures", file=run)
    if strange := {row["layout_index"] for row in rows} - entries.keys():
        raise InputError(f"names layout {min(strange)}, which is not of this run", file=run, field="samples")
    found: list[dict[str, Any]] = []
    for k in Progress(range(0, len(rows), BATCH), "CLIP", unit="batch"):
        chunk = rows[k : k + BATCH]
        images = [to_canvas(read_stored(run, row["image"]), CANVAS) for row in chunk]
        own = [entries[row["layout_index"]] for row in chunk]
        scores = scorer.global_scores(images, [entry.layout.caption for entry in own])
        for row, image, entry, score in zip(chunk, images, own, scores, strict=True):
            key = {name: row[name] for name in ("method", "layout_index", "seed")}
            local = float(np.mean(scorer.local_scores(image, entry)))
            found.append({**key, "level": entry.level, "clip": score, "local_clip": local})
    return pd.DataFrame(found)


def clip_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Means by method and level and in all; local CLIP weighted by instances, as the official one is."""
    weighted = scores.assign(weight=scores.level, local=scores.local_clip * scores.level)
    groups = [(f"L{level}", part) for level, part in weighted.groupby("level")] + [("Avg", weighted)]
    rows = [
        {
            "method": method,
            "level": level,
            "images": len(own),
            "clip": own["clip"].mean(),
            "local_clip": own["local"].sum() / own["weight"].sum(),
        }
        for level, part in groups
        for method, own in part.groupby("method", sort=False)
    ]
    return pd.DataFrame(rows)

"""The judge's networks at full size with random weights: classes, processors and shapes at work; judges nothing."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertTokenizerFast,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SamConfig,
    SamModel,
    SwinConfig,
)

_SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
"""BERT's ids, which GroundingDINO's code knows by number."""


def random_networks(device: str, dtype: torch.dtype) -> tuple[Any, Any, Any]:
    """GroundingDINO SwinT-OGC, a tokenizer for it, and SAM ViT-H from their configurations alone."""
    torch.manual_seed(0)
    sizes = {"window_size": 7, "image_size": 224, "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24]}
    backbone = SwinConfig(**sizes, out_indices=[2, 3, 4])
    configuration = GroundingDinoConfig(backbone_config=backbone, text_config=BertConfig())
    dino = GroundingDinoForObjectDetection(configuration).to(device, dtype)
    vision = {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "global_attn_indexes": [7, 15, 23, 31],
        "initializer_range": 0.02,
    }
    return dino, letter_tokenizer(), SamModel(SamConfig(vision_config=vision)).to(device, dtype)


def letter_tokenizer() -> Any:
    """A WordPiece vocabulary of letters with BERT's special tokens and stops at BERT's ids: stands in for BERT's."""
    letters = [prefix + letter for letter in "abcdefghijklmnopqrstuvwxyz" for prefix in ("", "##")]
    vocabulary = {**_SPECIAL, **{piece: 2000 + k for k, piece in enumerate(letters)}}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", _SPECIAL["[CLS]"]), ("[SEP]", _SPECIAL["[SEP]"])]
    )
    return BertTokenizerFast(tokenizer_object=tokenizer)

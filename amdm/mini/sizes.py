"""Sizes of the mini models: the classes of the full-size models under another configuration."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderTiny, DDIMScheduler
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
)

from amdm.mini.vocabulary import SPECIAL_TOKENS, WORDS

TEXT_LENGTH = 32
WIDTH = 96
SLOTS = 6
IMAGE_SIZE, IMAGE_PATCH = 64, 8
LATENT_CHANNELS, LATENT_SIZE, LATENT_SCALE = 8, 16, 4

SCHEDULE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.006,  # less terminal noise than SD's 0.012: a small picture is drowned sooner
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
}

UNET: dict[str, Any] = {
    "sample_size": LATENT_SIZE,
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "block_out_channels": (64, 96, 128),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 2,  # the number of heads, by diffusers' historical misnomer
    "norm_num_groups": 16,
}


BOX_BIAS = 4.0
"""Off at full size. InteractDiffusion's plain grounding did not learn to place within a training of this size."""

MIGC_HEADS = 4
MIGC_LAYERS: tuple[str, ...] = (
    "mid_block.attentions.0.transformer_blocks.0",
    "up_blocks.1.attentions.0.transformer_blocks.0",
    "up_blocks.1.attentions.1.transformer_blocks.0",
    "up_blocks.2.attentions.0.transformer_blocks.0",
)
"""Where MIGC sits: the public checkpoint's places, and the finest grid, which full-size MIGC leaves alone."""


def build_vae() -> AutoencoderTiny:
    """RGB 64×64 in [−1, 1] ↔ latents 8×16×16."""
    width = (32, 32, 32)
    return AutoencoderTiny(
        encoder_block_out_channels=width,
        decoder_block_out_channels=width,
        num_encoder_blocks=(0, 1, 1),
        num_decoder_blocks=(2, 1, 0),
        latent_channels=LATENT_CHANNELS,
        upsampling_scaling_factor=2,
        act_fn="silu",
    )


def build_scheduler() -> DDIMScheduler:
    """DDIM on the mini schedule."""
    return DDIMScheduler(**SCHEDULE)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word; a word outside the vocabulary becomes the unknown token."""
    pad, unknown, start, end = SPECIAL_TOKENS
    vocabulary = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unknown,
        bos_token=start,
        eos_token=end,
        model_max_length=TEXT_LENGTH,  # what diffusers' pipelines pad to
    )


def build_text_encoder() -> CLIPTextModel:
    """CLIP's text tower, two layers of width 96."""
    tokens = (*SPECIAL_TOKENS, *WORDS)
    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        pad_token_id=tokens.index("<|pad|>"),
        bos_token_id=tokens.index("<|startoftext|>"),
        eos_token_id=tokens.index("<|endoftext|>"),
    )
    return CLIPTextModel(config)


def build_image_encoder() -> CLIPVisionModelWithProjection:
    """CLIP's vision tower, two layers of width 96, on 8×8 patches of RGB 64×64."""
    config = CLIPVisionConfig(
        image_size=IMAGE_SIZE,
        patch_size=IMAGE_PATCH,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    return CLIPVisionModelWithProjection(config)


def build_image_processor() -> CLIPImageProcessor:
    """Pictures as the mini vision tower reads them: the middle square at 64×64, in [−1, 1]."""
    return CLIPImageProcessor(
        size={"shortest_edge": IMAGE_SIZE},
        crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )

"""Text to embeddings, each distinct text encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import CLIPTextModel, PreTrainedTokenizerBase


class PhraseEncoder:
    """A CLIP text tower that remembers what it has encoded.

    A text is always encoded alone in its row, padded to the model's length, so its embedding does not depend on
    what else is in the batch. Not used in training, where embeddings change: see :meth:`encode_fresh`.
    """

    def __init__(self, text_encoder: CLIPTextModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.text_encoder, self.tokenizer = text_encoder, tokenizer
        self._known: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return int(self.text_encoder.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states (N, L, D) after the last norm, and pooled outputs (N, D) at the end token, no projection."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            # What is remembered may be read outside of the inference mode that it was made in.
            with torch.inference_mode(False), torch.no_grad():
                hidden, pooled = self.encode_fresh(new)
            self._known.update(zip(new, zip(hidden, pooled, strict=True), strict=True))
        found = [self._known[text] for text in texts]
        return torch.stack([h for h, _ in found]), torch.stack([p for _, p in found])

    def forget(self) -> None:
        """Drop what is remembered; needed once the weights have changed or moved."""
        self._known.clear()

    def encode_fresh(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`encode`, without memory and with gradients."""
        length = self.text_encoder.config.max_position_embeddings
        tokens = self.tokenizer(
            list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        out = self.text_encoder(tokens.input_ids.to(self.text_encoder.device), attention_mask=None)
        return out.last_hidden_state, out.pooler_output

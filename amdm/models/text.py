"""Text to embeddings, each distinct text encoded once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence

import torch
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from amdm.errors import InputWarning, printable
from amdm.process_state import undisturbed

LONGEST_QUOTE = 2_000
MOST_REMEMBERED = 1_000
"""Texts; at full size one takes 0.24 MB in float32, on the networks' device."""
Encode = Callable[[Sequence[str]], tuple[torch.Tensor, torch.Tensor]]
"""Texts → (hidden (N, L, D), pooled (N, D)), as :meth:`PhraseEncoder.encode`."""

_ENCODING = threading.RLock()
"""Held while texts become embeddings: a tokenizer, which encoders may share, changes its own settings as it works."""


class PhraseEncoder:
    """A CLIP text tower that remembers what it has encoded last, as long as its weights are what they were.

    A text is always encoded alone, padded to the model's length, so its embedding does not depend on what else is in
    the batch, or was there before. What the tower does not read of a text, because it is too long or a word is none of
    its vocabulary, is an :class:`amdm.errors.InputWarning`, once for each text or word. Not used in training, where
    embeddings change: see :meth:`encode_fresh`.
    """

    def __init__(self, text_encoder: CLIPTextModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.text_encoder, self.tokenizer = text_encoder, tokenizer
        self._known: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._known_by: tuple[object, ...] = ()
        self._cut: set[str] = set()
        self._unknown: set[str] = set()

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return int(self.text_encoder.config.hidden_size)

    @property
    def length(self) -> int:
        """Tokens of a text at most, with those of its start and its end."""
        return int(self.text_encoder.config.max_position_embeddings)

    def encode(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states (N, L, D) after the last norm, and pooled outputs (N, D) at the end token, no projection."""
        # What is remembered may be read outside of the inference mode that it was made in.
        with _ENCODING, undisturbed(), torch.inference_mode(False), torch.no_grad():
            if self._known_by != (now := self._weights()):
                self._known, self._known_by = {}, now
            for text in dict.fromkeys(texts):
                if text not in self._known:
                    self._warn(text)
                    hidden, pooled = self.encode_fresh([text])
                    self._known[text] = (hidden[0], pooled[0])
            found = [self._known[text] for text in texts]
            for text in dict.fromkeys(texts):
                self._known[text] = self._known.pop(text)  # the last to be dropped
            for text in list(self._known)[:-MOST_REMEMBERED]:
                del self._known[text]
        return torch.stack([h for h, _ in found]), torch.stack([p for _, p in found])

    def forget(self) -> None:
        """Drop what is remembered."""
        with _ENCODING:
            self._known = {}

    def encode_fresh(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`encode`, without memory, in one batch and with gradients; what is too long is cut in silence."""
        with _ENCODING:
            tokens = self.tokenizer(
                list(texts), padding="max_length", max_length=self.length, truncation=True, return_tensors="pt"
            )
        out = self.text_encoder(tokens.input_ids.to(self.text_encoder.device), attention_mask=None)
        return out.last_hidden_state, out.pooler_output

    def _weights(self) -> tuple[object, ...]:
        """Changes when tower or tokenizer is another one, or was written to."""
        parameters = self.text_encoder.parameters()
        versions = ((p.data_ptr(), 0 if p.is_inference() else p._version) for p in parameters)
        return (id(self.text_encoder), id(self.tokenizer), len(self.tokenizer), *versions)

    def _warn(self, text: str) -> None:
        """Say what of the text is not read."""
        tokens = self.tokenizer(text, truncation=False, verbose=False, return_offsets_mapping=True)
        ids, places = tokens.input_ids, tokens.offset_mapping
        if len(ids) > self.length and text not in self._cut:
            self._cut.add(text)
            cut = text[places[self.length - 1][0] :]  # the last token that is read stands for the end
            count = "" if len(self._cut) == 1 else f" (text {len(self._cut)} that is cut)"
            what = f"has {len(ids) - 2} tokens, of which {self.length - 2} are read; cut: {_quoted(cut)}{count}"
            warnings.warn(f"{_quoted(text, 60)} {what}", InputWarning, stacklevel=2)
        none = self.tokenizer.unk_token_id  # in CLIP's own vocabulary the end, as nothing is unknown
        if none is None or none in (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id):
            return
        read = list(zip(ids, places, strict=True))[: self.length - 1]
        strange = [text[first:last] for one, (first, last) in read if one == none]
        if new := [word for word in dict.fromkeys(strange) if word not in self._unknown]:
            self._unknown.update(new)
            words = ", ".join(_quoted(word, 60) for word in new)
            what = f"not in the model's vocabulary, and read as {self.tokenizer.unk_token}"
            warnings.warn(f"{words}: {what} (in {_quoted(text, 60)})", InputWarning, stacklevel=2)


def _quoted(text: str, limit: int = LONGEST_QUOTE) -> str:
    """On one line; the middle of a long text is left out."""
    shown = printable(text)
    half = limit // 2
    return repr(shown if len(shown) <= limit else f"{shown[:half]} … {shown[-half:]}")

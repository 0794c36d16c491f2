"""What a text tower does not read of a text is said once; what it remembers is what its weights make of it now."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from amdm.errors import InputWarning
from amdm.layout import Instance, Interaction, Layout
from amdm.mini.sizes import TEXT_LENGTH, build_text_encoder, build_tokenizer
from amdm.mini.vocabulary import CATEGORIES, COLOURS, caption, label
from amdm.models.full_size import build_tokenizer as full_tokenizer
from amdm.models.text import PhraseEncoder
from amdm.pipeline import AMDMPipeline
from tests.amdm.models.test_every_model import build, request

MANY = caption([label(colour, shape) for shape in CATEGORIES for colour in COLOURS][:40])
RED = Instance("a red cross", (0.1, 0.1, 0.5, 0.5))


@pytest.fixture
def text() -> PhraseEncoder:
    torch.manual_seed(0)
    return PhraseEncoder(build_text_encoder().eval(), build_tokenizer())


def said(encoder: PhraseEncoder, *texts: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.encode(texts)
    assert all(one.category is InputWarning for one in caught)
    return [str(one.message) for one in caught]


def full_size() -> PhraseEncoder:
    """The real tokenizer; a tower of nothing."""
    tower: Any = SimpleNamespace(
        config=SimpleNamespace(max_position_embeddings=77, hidden_size=2), parameters=lambda: iter(()), device="cpu"
    )
    encoder = PhraseEncoder(tower, full_tokenizer())
    nothing = torch.zeros(1, 77, 2), torch.zeros(1, 2)
    encoder.encode_fresh = lambda texts: nothing  # type: ignore[method-assign]
    return encoder


def test_what_is_cut_is_quoted_once(text: PhraseEncoder) -> None:
    words = MANY.split()
    kept = TEXT_LENGTH - 2  # start and end take two
    (found,) = said(text, MANY)
    assert found.endswith(f"has {len(words)} tokens, of which {kept} are read; cut: {' '.join(words[kept:]) + ' '!r}")
    assert said(text, MANY) == []
    text.forget()
    assert said(text, MANY) == []
    other = " ".join(words[: kept + 1])
    (second,) = said(text, other)
    assert second.endswith(f"cut: {words[kept]!r} (text 2 that is cut)")
    assert said(text, " ".join(words[:kept])) == []


def test_at_full_size_77_tokens_count(text: PhraseEncoder) -> None:
    encoder = full_size()
    assert said(encoder, "bowl " * 75) == []
    (found,) = said(encoder, "bowl " * 75 + "and a Red  Vase")
    assert found.endswith("has 79 tokens, of which 75 are read; cut: 'and a Red  Vase'")
    assert said(encoder, "qwxz \U0001f600 ſtrange") == []  # byte pairs spell every word


def test_a_word_outside_the_vocabulary_is_named_once(text: PhraseEncoder) -> None:
    (found,) = said(text, "a red vase and a tabby cat ")
    assert found.startswith("'vase', 'tabby', 'cat': not in the model's vocabulary, and read as <|unknown|>")
    assert said(text, "a blue vase ") == [] and len(said(text, "a blue dog ")) == 1


def test_an_unknown_word_that_is_cut_is_not_read_as_another(text: PhraseEncoder) -> None:
    (found,) = said(text, f"a ring {'and ' * 28}vase")
    assert found.endswith("cut: 'vase'")


def test_a_warning_is_one_line(text: PhraseEncoder) -> None:
    for one in said(text, "a\nred\x1b[31m vase\n" * 20):
        assert len(one.splitlines()) == 1 and one.isprintable()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("stable_diffusion", ("negative", "caption")),
        ("ip-adapter", ("negative", "caption")),
        ("gligen", ("negative", "caption", "phrase")),
        ("migc", ("negative", "caption", "phrase")),
        ("interactdiffusion", ("negative", "caption", "phrase", "action")),
    ],
)
def test_every_text_that_a_model_reads_is_looked_at(name: str, read: Sequence[str]) -> None:
    model = build(name)
    ends = {"negative": "circle", "caption": "ring", "phrase": "arch", "action": "square"}
    texts = {what: f"{'and ' * 31}{end}" for what, end in ends.items()}
    long = Instance(texts["phrase"], RED.box)
    related = (Interaction(long, texts["action"], long),) if name == "interactdiffusion" else ()
    layout = Layout(texts["caption"], () if related else (long,), related)
    asked = replace(request(model, slice(0, 1)), layouts=(layout,), negative_prompt=texts["negative"])
    with pytest.warns(InputWarning) as caught:
        model.bind(asked)
    found = [str(one.message) for one in caught]
    assert len(found) == len(read)
    assert all(any(f"cut: 'and {ends[what]}'" in one for one in found) for what in read)


def test_repeated_phrases_of_migc_are_looked_at() -> None:
    model = build("migc")
    model.and_augmentation = True  # type: ignore[attr-defined]
    base = request(model, slice(0, 1))
    rows: Sequence[Instance] = [Instance("a red cross and a blue ring", (0.1, 0.1, 0.5, 0.5))] * 7
    with pytest.warns(InputWarning, match="of which 30 are read; cut: "):
        model.bind(type(base)(**{**vars(base), "layouts": (Layout("a ring", tuple(rows)),)}))


def test_a_pipeline_warns_from_python() -> None:
    pipe = AMDMPipeline.from_pretrained("mini", "migc", overrides=["settings.migc.num_inference_steps=1"])
    pipe.set_progress_bar_config(disable=True)
    with pytest.warns(InputWarning, match="cut: .*brown ring"):
        pipe(Layout(MANY + "and a brown ring ", (RED,)))


def test_an_embedding_does_not_depend_on_what_else_was_asked(text: PhraseEncoder) -> None:
    texts = [label(colour, shape) for shape in CATEGORIES for colour in COLOURS]
    together = text.encode(texts)
    for k, one in enumerate(texts):
        text.forget()
        assert all(torch.equal(a[0], b[k]) for a, b in zip(text.encode([one]), together, strict=True))


def test_no_more_texts_are_remembered_than_said(text: PhraseEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amdm.models.text.MOST_REMEMBERED", 2)
    encoded, fresh = [], text.encode_fresh
    monkeypatch.setattr(text, "encode_fresh", lambda texts: encoded.extend(texts) or fresh(texts))
    first = text.encode(["a ring", "a cross", "a circle"])[0]
    assert len(first) == 3 and torch.equal(text.encode(["a cross"])[0][0], first[1])
    text.encode(["a red ring"])  # the circle was asked for before the cross
    for one in ("a cross", "a circle"):
        text.encode([one])
    assert encoded == ["a ring", "a cross", "a circle", "a red ring", "a circle"]


def test_what_is_remembered_is_of_the_weights_as_they_are(text: PhraseEncoder) -> None:
    def encoded() -> torch.Tensor:
        return text.encode(["a red ring"])[0]

    first = encoded()
    with torch.no_grad():
        text.text_encoder.get_input_embeddings().weight.add_(1.0)
    second = encoded()
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    other = build_text_encoder().eval()
    text.text_encoder.load_state_dict(other.state_dict())
    third = encoded()
    assert not torch.equal(second, third)
    text.text_encoder = copy.deepcopy(text.text_encoder).to(torch.float64)
    assert encoded().dtype == torch.float64
    torch.testing.assert_close(encoded().float(), third)

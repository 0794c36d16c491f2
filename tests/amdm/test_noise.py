"""Random numbers are those of their key, on every machine and in every version: published pictures hang on them."""

from __future__ import annotations

import pytest
import torch

from amdm.noise import initial_noise, keyed_generator, permutation


@pytest.mark.parametrize(
    ("key", "seed"),
    [(("a",), 7299139317422481125), (("set/3/0", "interactdiffusion"), 5793942472412044183)],
)
def test_a_seed_is_the_first_63_bits_of_the_keys_sha256(key: tuple[str, ...], seed: int) -> None:
    assert keyed_generator(*key).initial_seed() == seed
    assert keyed_generator("/".join(key)).initial_seed() == seed


def test_every_sample_and_every_model_has_noise_of_its_own() -> None:
    both = initial_noise(["a", "b"], "m", (8, 16, 16))
    assert both.shape == (2, 8, 16, 16) and both.dtype == torch.float32
    assert torch.equal(both[1:], initial_noise(["b"], "m", (8, 16, 16)))
    others = [both[0], both[1], initial_noise(["a"], "n", (8, 16, 16))[0]]
    assert torch.corrcoef(torch.stack(others).flatten(1)).triu(1).abs().max() < 0.1
    assert abs(float(both.mean())) < 0.1 and float(both.std()) == pytest.approx(1, abs=0.05)


def test_a_permutation_is_of_its_sample_and_purpose() -> None:
    first = permutation("a", 28, "migc", 0, "layer")
    assert sorted(first.tolist()) == list(range(28))
    assert torch.equal(first, permutation("a", 28, "migc", 0, "layer"))
    for other in (("b", "migc", 0, "layer"), ("a", "migc", 1, "layer"), ("a", "migc", 0, "other")):
        assert not torch.equal(first, permutation(other[0], 28, *other[1:]))

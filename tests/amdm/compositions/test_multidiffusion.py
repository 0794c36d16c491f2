"""MultiDiffusion by boxes: each region by its model, exactly where regions are independent."""

from __future__ import annotations

import pytest
import torch

from amdm.compositions.multidiffusion import multidiffusion
from amdm.errors import InputError
from tests.amdm.compositions.gaussians import Gaussian, assert_same_law, composition, law, spread


@pytest.mark.parametrize("count", [2, 3])
def test_each_region_has_the_law_of_its_models(count: int) -> None:
    """Of one auxiliary, or of two of one covariance the geometric mean."""
    inside = torch.zeros(1, 1, 4, 4)
    inside[..., 1:3, :] = 1
    target, *auxiliaries = spread(64, count, [1.0, 0.5, 0.5][:count])
    where = inside.expand(1, 4, 4, 4).flatten().bool()
    within = torch.stack([one.mean for one in auxiliaries]).mean(0)
    pieced = Gaussian(target.mean.where(~where, within), target.var.where(~where, auxiliaries[0].var))
    alone = composition("mean-epsilon", weights=[1, 0])
    made = composition("multidiffusion")
    for steps in (5, 20):
        found = law(made, [target, *auxiliaries], steps, inside=inside.expand(65, 1, 4, 4))
        assert_same_law(found, law(alone, [pieced, pieced], steps))


@pytest.mark.parametrize(("fill", "whose"), [(0.0, 0), (1.0, 1)])
def test_without_a_box_the_target_and_with_one_of_everything_the_auxiliary(fill: float, whose: int) -> None:
    models = spread(2, 2, [0.5, 1.0])
    found = law(composition("multidiffusion"), models, 10, inside=torch.full((3, 1, 1, 1), fill))
    one = models[whose]
    assert_same_law(found, law(composition("mean-epsilon", weights=[1, 0]), [one, one], 10))


def test_auxiliaries_share_a_region() -> None:
    eps = [torch.full((1, 1, 1, 2), float(k)) for k in range(3)]
    mask = torch.tensor([[[[0.0, 1.0]]]])
    assert multidiffusion(eps, [1 - mask, mask, mask]).tolist() == [[[[0.0, 1.5]]]]


def test_models_without_boxes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^boxes: m0 was bound without them; multidiffusion reads them"):
        law(composition("multidiffusion"), spread(2, 2), 5)

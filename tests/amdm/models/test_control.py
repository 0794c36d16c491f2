"""Conditioning that no model of an aggregation reads is refused before any of them runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Instance, Interaction, Layout
from amdm.models.control import ControlModel, check_conditioning
from amdm.models.gligen import GLIGEN
from amdm.models.interactdiffusion import InteractDiffusion
from amdm.models.ip_adapter import IPAdapter
from amdm.models.migc import MIGC
from amdm.models.stable_diffusion import StableDiffusion

BOWL, CUP = Instance("a red bowl", (0.0, 0.2, 0.4, 0.8)), Instance("a blue cup", (0.5, 0.2, 0.9, 0.8))
CAPTION = Layout("a bowl")
PLACED = Layout("a bowl", (BOWL,))
RELATED = Layout("a bowl and a cup", (), (Interaction(BOWL, "beside", CUP),))
STYLE = Image.new("RGB", (8, 8))


def check(
    kinds: tuple[type[ControlModel], ...],
    *layouts: Layout,
    styles: tuple[Image.Image, ...] | None = None,
    ignored: tuple[str, ...] = (),
) -> None:
    models = [SimpleNamespace(name=k.name, reads=k.reads, ignores_on_purpose=k.ignores_on_purpose) for k in kinds]
    check_conditioning(models, layouts, styles, ignored)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kinds", "layout"),
    [
        ((StableDiffusion,), CAPTION),
        ((StableDiffusion,), PLACED),  # the baseline ignores places on purpose
        ((StableDiffusion,), RELATED),
        ((InteractDiffusion,), RELATED),
        ((GLIGEN,), PLACED),
        ((MIGC,), PLACED),
        ((InteractDiffusion, MIGC), RELATED),  # one that reads is enough
    ],
)
def test_what_a_model_reads_is_accepted(kinds: tuple[type[ControlModel], ...], layout: Layout) -> None:
    check(kinds, layout)
    check((*kinds, IPAdapter), layout, styles=(STYLE,))


@pytest.mark.parametrize(
    ("kinds", "layout", "ignored"),
    [
        ((MIGC,), RELATED, "interactions"),
        ((GLIGEN,), RELATED, "interactions"),
        ((MIGC, GLIGEN), RELATED, "interactions"),
    ],
)
def test_what_no_model_reads_is_refused(kinds: tuple[type[ControlModel], ...], layout: Layout, ignored: str) -> None:
    names = r" \+ ".join(kind.name for kind in kinds)
    with pytest.raises(InputError, match=f"^{ignored}: {names} would ignore it$"):
        check(kinds, PLACED, layout)  # any layout of a batch


@pytest.mark.parametrize("layout", [PLACED, RELATED])
def test_ip_adapter_alone_does_not_place(layout: Layout) -> None:
    check((IPAdapter,), CAPTION, styles=(STYLE,))
    with pytest.raises(InputError, match="would ignore it"):
        check((IPAdapter,), layout, styles=(STYLE,))


def test_what_a_method_ignores_on_purpose_is_accepted_and_nothing_else() -> None:
    check((MIGC,), RELATED, ignored=("interactions",))
    check((IPAdapter,), RELATED, PLACED, styles=(STYLE, STYLE), ignored=("instances", "interactions"))
    with pytest.raises(InputError, match=r"^style: migc would ignore it$"):
        check((MIGC,), RELATED, styles=(STYLE,), ignored=("interactions",))


def test_style_images_have_a_reader_and_one_for_each_layout() -> None:
    with pytest.raises(InputError, match=r"^style: interactdiffusion would ignore it$"):
        check((InteractDiffusion,), PLACED, styles=(STYLE,))
    with pytest.raises(InputError, match="needs a style image"):
        check((InteractDiffusion, IPAdapter), PLACED)
    with pytest.raises(InputError, match="1 style images for 2 layouts"):
        check((InteractDiffusion, IPAdapter), PLACED, PLACED, styles=(STYLE,))

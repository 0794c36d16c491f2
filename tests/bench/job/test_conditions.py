"""Interactions and style images of layout sets: they reach the models, or the run does not start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from amdm.errors import InputError
from amdm.layout import Instance, Interaction
from bench.detectors.detector import DetectorOptions
from bench.generators.presets import make_generator
from bench.job.batches import Group, groups
from bench.job.conditions import check_conditions, check_styles, conditions_of, style_digests, unread
from bench.job.plan import Plan
from bench.job.spec import EXTERNAL, Job
from bench.layouts.layout_set import LayoutSet
from bench.stages.generate import GroupWorker
from tests.bench.fakes import paint, small_set

TRIPLE = Interaction(Instance("a red circle", (0, 0, 0.5, 0.5)), "above", Instance("a blue arch", (0, 0.5, 0.5, 1)))


def with_interactions(layouts: LayoutSet) -> LayoutSet:
    entries = (replace(one, layout=replace(one.layout, interactions=(TRIPLE,))) for one in layouts.entries)
    return replace(layouts, entries=tuple(entries))


def with_styles(layouts: LayoutSet, folder: Path, missing: int = 0) -> LayoutSet:
    """Each entry with a style image of its own grey, but for the last ``missing``."""
    entries = list(layouts.entries)
    for k, one in enumerate(entries[: len(entries) - missing]):
        Image.new("RGB", (2, 2), (k, k, k)).save(folder / f"{k}.png")
        entries[k] = replace(one, style=folder / f"{k}.png")
    return replace(layouts, entries=tuple(entries))


def test_sets_without_them_fit_every_method_that_needs_none() -> None:
    check_conditions(small_set(5), {"a": ("migc",), "b": ("stable_diffusion",), "c": ("interactdiffusion", "migc")})
    assert conditions_of(small_set(5).entries) == {} and style_digests(small_set(5)) == {}


def test_what_a_method_would_ignore_is_refused(tmp_path: Path) -> None:
    layouts = with_interactions(small_set(5))
    check_conditions(layouts, {"a": ("interactdiffusion", "migc"), "b": ("stable_diffusion",)})
    with pytest.raises(InputError, match=r"^methods\.mine: would ignore the field interactions of the layouts mini"):
        check_conditions(layouts, {"a": ("interactdiffusion",), "mine": ("migc",)})
    styled = with_styles(small_set(5), tmp_path)
    check_conditions(styled, {"a": ("interactdiffusion", "ip-adapter")})
    with pytest.raises(InputError, match=r"^methods\.migc: would ignore the field style"):
        check_conditions(styled, {"migc": ("migc",)})
    check_conditions(styled, {"migc": ("migc",)}, {"migc": ("style",)})
    with pytest.raises(InputError, match=r"^methods\.other: would ignore the field style"):
        check_conditions(styled, {"migc": ("migc",), "other": ("migc",)}, {"migc": ("style",)})
    assert check_styles(styled) and not check_styles(layouts)


def test_what_no_model_of_a_method_reads_is_named() -> None:
    asked = ("instances", "interactions", "style")
    assert unread(("migc",), asked) == ("interactions", "style")
    assert unread(("interactdiffusion", "migc"), asked) == ("style",)
    assert unread(("interactdiffusion", "ip-adapter"), asked) == ()
    assert unread(("stable_diffusion",), asked) == asked


def test_what_a_method_needs_and_the_layouts_lack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^methods\.a: needs a style image, and the layouts mini name none"):
        check_conditions(small_set(5), {"a": ("interactdiffusion", "ip-adapter")})
    with pytest.raises(InputError, match=r"\.style: is missing: other layouts of the set name a style image"):
        check_conditions(with_styles(small_set(5), tmp_path, missing=1), {"a": ("ip-adapter",)})


def test_style_images_are_read_before_anything_is_generated(tmp_path: Path) -> None:
    styled = with_styles(small_set(5), tmp_path)
    (tmp_path / "3.png").write_text("no picture")
    with pytest.raises(InputError, match=r"3\.png: .*\.style: cannot be read as a picture"):
        check_conditions(styled, {"a": ("ip-adapter",)})
    (tmp_path / "3.png").unlink()
    with pytest.raises(InputError, match=r"3\.png: .*\.style: is not there"):
        check_conditions(styled, {"a": ("ip-adapter",)})


def test_a_job_is_refused_before_it_starts() -> None:
    layouts = with_interactions(small_set(5))

    def plan(job: Job) -> list[Group]:
        return Plan(job, layouts, DetectorOptions()).batches

    with pytest.raises(InputError, match=r"^methods\.migc: would ignore the field interactions"):
        plan(Job("mini", "mini", ("migc",), (0,), 4))
    with pytest.raises(InputError, match=r"^methods\.interactdiffusion\+migc: takes 6 .* and mini asks for 7"):
        plan(Job("mini", "mini", ("interactdiffusion+migc",), (0,), 4))
    layouts = replace(layouts, entries=layouts.entries[:4])
    plan(Job("mini", "mini", ("interactdiffusion+migc",), (0,), 4))
    plan(Job(EXTERNAL, "mini", ("mine",), (0,), 4, generator="a:b", digest="0"))


def test_generators_are_given_the_interactions_and_each_layouts_own_style(tmp_path: Path) -> None:
    given: list[Any] = []

    def generator(method: str, layouts: Any, keys: Any, **conditions: Any) -> Any:
        given.append((layouts, conditions))
        return paint(method, layouts, keys)

    layouts = with_styles(with_interactions(small_set(5)), tmp_path)
    worker = GroupWorker(lambda: generator)
    for group in groups(layouts, ["first"], [0], 2):
        worker(group)
    assert [one.interactions for part, _ in given for one in part] == [(TRIPLE,)] * 5
    greys = [picture.getpixel((0, 0)) for _, conditions in given for picture in conditions["styles"]]
    assert greys == [(k, k, k) for k in range(5)]


def test_interactions_change_the_pictures_of_interactdiffusion_and_the_ceiling_draws_the_instances() -> None:
    job = Job("mini", "mini", ("interactdiffusion",), (0,), 4, overrides=("settings.all.num_inference_steps=2",))
    generator, plain = make_generator(job), small_set(5)
    plain = replace(plain, entries=tuple(one for one in plain.entries if one.level < 6))  # the mini model holds six
    told = with_interactions(plain)

    def drawn(layouts: LayoutSet, method: str) -> np.ndarray:
        (group,) = groups(layouts, [method], [0], 5)
        return np.stack([one.image for one in GroupWorker(lambda: generator)(group).outcomes if one.image is not None])

    assert (drawn(plain, "interactdiffusion") != drawn(told, "interactdiffusion")).any(axis=(1, 2, 3)).all()
    assert np.array_equal(drawn(plain, "ceiling"), drawn(told, "ceiling"))


def test_the_styles_that_were_used_are_recorded(fake_networks: None, tmp_path: Path) -> None:
    job = Job("mini", "mini", ("interactdiffusion",), (0,), 4)

    def recorded(layouts: LayoutSet) -> dict[str, str]:
        return Plan(job, layouts, DetectorOptions()).settings.styles

    assert recorded(small_set(5)) == {}
    styled = with_styles(small_set(5), tmp_path)
    before = recorded(styled)
    assert set(before) == {entry.key for entry in styled.entries} and len(set(before.values())) == 5
    Image.new("RGB", (2, 2), "red").save(tmp_path / "0.png")
    assert recorded(styled) != before

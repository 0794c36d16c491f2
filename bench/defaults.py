"""Jobs as command lines and functions ask for them: what is left open is filled in, what is named is looked up."""

from __future__ import annotations

from collections.abc import Sequence

from amdm.model_set import LoadOptions
from bench.generators.function import callable_digest, check_arguments
from bench.job.spec import DEFAULT_BATCH, DEFAULT_LAYOUTS, EXTERNAL, IMAGES, Job

EXTERNAL_BATCH = 4


def preset_job(
    profile: str,
    methods: Sequence[str],
    *,
    layouts: str | None = None,
    seeds: Sequence[int] = (0,),
    batch: int | None = None,
    limit: int | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    dtype: str = "auto",
    shard: tuple[int, int] | None = None,
    detector: str | None = None,
) -> Job:
    """Measure methods of a profile, "mini" or "paper". None takes the profile's default; the rest as of :class:`Job`.

    >>> job = preset_job("mini", ["migc"], limit=7, device="cpu")
    >>> job.layouts, job.batch, job.limit, job.dtype
    ('mini', 16, 10, 'float32')
    """
    loading = LoadOptions.parse(profile, None, device, dtype)
    return Job(
        profile=profile,
        layouts=DEFAULT_LAYOUTS[profile] if layouts is None else layouts,
        methods=tuple(methods),
        seeds=tuple(seeds),
        batch=DEFAULT_BATCH[profile] if batch is None else batch,
        limit=limit,
        overrides=tuple(overrides),
        device=loading.device,
        dtype=str(loading.dtype).removeprefix("torch."),
        shard=shard,
        detector=detector,
    )


def function_job(
    generator: str,
    *,
    layouts: str,
    name: str | None = None,
    arguments: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    batch: int | None = None,
    limit: int | None = None,
    device: str = "auto",
    shard: tuple[int, int] | None = None,
    detector: str | None = None,
) -> Job:
    """Measure a function, or what a class or factory builds (:func:`bench.generators.function.load_callable`).

    generator: ``module:function`` or ``file.py:function``. name: what tables call it, by default the function's.

    Raises:
        InputError: there is no such function, or it does not take the arguments.
    """
    check_arguments(generator, arguments)
    return Job(
        profile=EXTERNAL,
        layouts=layouts,
        methods=(name or generator.rpartition(":")[2],),
        seeds=tuple(seeds),
        batch=EXTERNAL_BATCH if batch is None else batch,
        limit=limit,
        generator=generator,
        arguments=tuple(arguments),
        device=LoadOptions.parse("paper", None, device).device,
        digest=callable_digest(generator),
        detector=detector,
        shard=shard,
    )


def images_job(layouts: str, name: str, seed: int = 0, detector: str | None = None, limit: int | None = None) -> Job:
    """Measure pictures that are there; :func:`bench.import_images.score_images` puts in what their folder holds."""
    return Job(EXTERNAL, layouts, (name,), (seed,), 1, limit, generator=IMAGES, digest="", detector=detector)

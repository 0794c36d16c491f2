"""What is installed here and what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from amdm.errors import InputError
from amdm.output import JsonOption, tell


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed here, what runs, and what is missing."""
    from amdm.cli.doctor import paper_verdict
    from amdm.profiles import chosen_profile
    from bench.detectors.detector import DetectorOptions
    from bench.detectors.registry import detector_revision
    from bench.layouts.named import COCO_MIG_FILES, MINI_SETS, coco_mig_dir
    from bench.provenance import environment, provenance

    found, machine = environment(), provenance().machine
    profile, why = chosen_profile("auto")
    lines = {
        "python": found.python,
        "packages": ", ".join(f"{name} {version or 'absent'}" for name, version in found.packages.items()),
        "device": f"{found.device_name} ({machine}, {len(os.sched_getaffinity(0))} usable)",
        "disk": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.0f} GiB free here",
        "profile auto": f"{profile}: {why}",
        "mini models": _state(_mini_models),
        "mini judge": _state(partial(detector_revision, DetectorOptions())),
        **{f"layouts {name}": _state(partial(_layouts, name)) for name in (*MINI_SETS, *COCO_MIG_FILES)},
        "COCO-MIG folder": str(coco_mig_dir()),
        "profile paper": paper_verdict(),
    }
    tell("\n".join(f"{what}: {state}" for what, state in lines.items()), lines, as_json)


def _state(check: Callable[[], str]) -> str:
    """What the check found, or why it cannot be used."""
    try:
        return check()
    except InputError as error:
        return f"NOT USABLE: {error}"


def _mini_models() -> str:
    from amdm.loading import load_models
    from amdm.model_set import LoadOptions

    return f"{', '.join(load_models('mini', (), LoadOptions()).models)}: load, and are as recorded"


def _layouts(name: str) -> str:
    from bench.layouts.named import load_layouts

    found = load_layouts(name)
    return f"{len(found)} layouts, hash {found.hash[:12]}"

"""Options that commands of both command lines have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

ProfileOption = Annotated[str, Option(help="mini, paper, or auto: paper where it can run, else mini")]
DeviceOption = Annotated[str, Option(help="cpu, cuda, cuda:1 …; auto: cuda where there is one")]
DtypeOption = Annotated[
    str, Option(help="of the networks: float32, bfloat16, float16; auto: float16 at full size on CUDA, else float32")
]
WeightsDirOption = Annotated[
    Path | None,
    Option(help="folder of the public checkpoints; default: AMDM_WEIGHTS_DIR, else amdm/weights in the user's cache"),
]

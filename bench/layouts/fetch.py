"""Downloads the COCO-MIG files. Their licence (non-commercial research only) keeps them out of this project."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from amdm.errors import InputError
from amdm.io.files import write_atomic
from bench.layouts.named import coco_mig_dir

MAX_BYTES = 16 << 20
TIMEOUT_SECONDS = 60
_GITHUB = "https://raw.githubusercontent.com"
_MIGC = f"{_GITHUB}/limuloo/MIGC/effd6cc2e6a9f7d2fe34409c300a5f037a87b9ec/bench_file"

LICENCE_NOTE = (
    "MIG-Bench and MIGC release these files for non-commercial research only; read the licences of "
    "LeyRio/MIG_Bench and limuloo/MIGC before you use them."
)


class Source(NamedTuple):
    """A public file: where it goes in the folder, where it comes from (a fixed commit), and its SHA-256 in hex."""

    path: str
    url: str
    sha256: str


SOURCES = (
    Source(
        "mig_bench.json",
        f"{_GITHUB}/Hammour-steak/AMDM/dba837ae6615cf3c78e9b0522549cc35e25dd5b1/mig_bench.json",
        "11f9f72eea9c82e4c981d2d0ef62a513870a5cbec36c2d8d8860a933c55b7ca6",
    ),
    Source(
        "migc/mig_bench.txt",
        f"{_MIGC}/mig_bench.txt",
        "868788f754abb94bc5a403ef7cbdcffb7f2b0c3bfc7a6120760669c62ac751ed",
    ),
    Source(
        "migc/mig_bench_anno.yaml",
        f"{_MIGC}/mig_bench_anno.yaml",
        "25165519b657f7d0a8dedea5b05b6aaf8afdb043d9e9b30e3d4f57c60b467b76",
    ),
)


def download(url: str) -> bytes:
    """The content at ``url``, at most :data:`MAX_BYTES`."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
        return bytes(answer.read(MAX_BYTES + 1))


def fetch_layouts(folder: Path | None = None, get: Callable[[str], bytes] = download) -> list[Path]:
    """Fetch every file of :data:`SOURCES` that is not there yet, and check all of them.

    Args:
        folder: where to; :func:`bench.layouts.named.coco_mig_dir` by default.

    Returns:
        The paths, in the order of :data:`SOURCES`.

    Raises:
        InputError: no connection, or a SHA-256 that differs (of a download, or of a file that is there already;
            nothing is overwritten).
    """
    folder = folder or coco_mig_dir()
    return [_fetch(source, folder / source.path, get) for source in SOURCES]


def _fetch(source: Source, path: Path, get: Callable[[str], bytes]) -> Path:
    if path.exists():
        _check(path.read_bytes(), source, str(path))
        return path
    try:
        content = get(source.url)
    except OSError as error:
        raise InputError(f"cannot be fetched ({error}); put the file at {path} by hand", file=source.url) from None
    _check(content, source, source.url)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path


def _check(content: bytes, source: Source, where: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise InputError(f"SHA-256 is {found}, expected {source.sha256}", file=where)

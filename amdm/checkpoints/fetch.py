"""Bringing public weights: the Hugging Face Hub through huggingface_hub, Google Drive through gdown.

Offline mode (HF_HUB_OFFLINE), mirrors (HF_ENDPOINT) and tokens are huggingface_hub's own. Interrupted downloads resume.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from amdm.checkpoints.catalogue import WeightFile
from amdm.checkpoints.weights_folder import is_there, read_lock, record, require_inside
from amdm.errors import InputError
from amdm.io.files import make_folder

RESERVE = 2**30
"""Bytes that stay free on the disk."""

_SHA256 = re.compile("[0-9a-f]{64}")


class FetchError(OSError):
    """The network or the other side did not give a file; what was brought before is kept."""


def fetch(files: Sequence[WeightFile], folder: Path, report: Callable[[str], None] = print) -> None:
    """Bring the files that are not there, and record the digest of every one.

    Raises:
        InputError: a file's digest is not the one published or first seen, a link leads out of the folder, the
            folder cannot be one, or the disk is too small.
        FetchError: a file could not be brought; the way by hand is named where there is one.
    """
    make_folder(folder)
    for one in files:
        place = str(one.place)
        require_inside(folder / place, folder)
        seen = read_lock(folder).get(place)
        known = seen.commit if seen else ""
        if is_there(one, folder):
            report(f"{one.name}: there ({record(folder, place, known, (one.sha256,)).sha256[:12]})")
            continue
        report(f"{one.name}: from {one.source}")
        if one.drive_id:
            _from_drive(one, folder, report)
            commit, announced = "", ""
        else:
            commit, announced = _from_hub(one, folder, one.revision if one.pinned else known or "main")
        try:
            came = record(folder, place, commit, (one.sha256, announced))
        except InputError:
            (folder / place).unlink()  # what was just brought is not kept, else a later load could record it
            raise
        report(f"{one.name}: {came.sha256[:12]}, {came.size:,} bytes{f', commit {commit}' if commit else ''}")


def _from_hub(one: WeightFile, folder: Path, revision: str) -> tuple[str, str]:
    """Download one file; returns the commit that it is of, and its SHA-256 as the Hub announces it ("" for none)."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise FetchError(f"{one.name}: offline mode is on (HF_HUB_OFFLINE), and the file is not there")
    try:
        known = get_hf_file_metadata(hf_hub_url(one.repository, one.path, revision=revision))
        commit = (known.commit_hash or revision) if revision == "main" else revision
        _check_space(one, folder, known.size)
        hf_hub_download(one.repository, one.path, revision=commit, local_dir=folder / one.repository)
    except InputError:
        raise
    except Exception as error:  # the library's own, OSError, and those of its HTTP client, which differs by version
        raise FetchError(f"{one.name}: {one.source}: {_reason(error)}") from error
    etag = known.etag or ""
    return commit, etag if _SHA256.fullmatch(etag) else ""  # small files have git's SHA-1 instead


def _from_drive(one: WeightFile, folder: Path, report: Callable[[str], None]) -> None:
    """Download one file of Google Drive, which refuses now and then; then an earlier upload of it, if there is one."""
    import gdown

    _check_space(one, folder, one.size)
    target = folder / one.place
    target.parent.mkdir(parents=True, exist_ok=True)
    reason = "Google Drive did not give the file"
    for drive_id in filter(None, (one.drive_id, one.older_drive_id)):
        if drive_id == one.older_drive_id:
            report(f"{one.name}: {reason}; an earlier upload is tried: Google Drive {drive_id}")
        try:
            found = gdown.download(id=drive_id, output=str(target), resume=drive_id == one.drive_id)
        except Exception as error:  # gdown raises requests', bs4's and its own
            reason = _reason(error)
            continue
        if found is not None and target.is_file():
            return
    raise FetchError(f"{one.name}: {reason}; {by_hand(one, folder)}")


def by_hand(one: WeightFile, folder: Path) -> str:
    """How a person gets a file that Drive refuses to a program."""
    return f"open drive.google.com/file/d/{one.drive_id}/view in a browser and put the file at {folder / one.place}"


def _check_space(one: WeightFile, folder: Path, size: int | None) -> None:
    free, needed = shutil.disk_usage(folder).free, (size or 0) + RESERVE
    if free < needed:
        raise InputError(f"{free:,} bytes are free; {one.name} needs {needed:,}", file=folder)


def _reason(error: BaseException) -> str:
    """The first line of what a library says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]

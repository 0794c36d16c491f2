"""Bringing public weights: the Hugging Face Hub through huggingface_hub, Google Drive through gdown.

Offline mode (HF_HUB_OFFLINE), mirrors (HF_ENDPOINT) and tokens are huggingface_hub's own. Interrupted downloads resume.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from amdm.checkpoints.catalogue import WeightFile
from amdm.checkpoints.store import is_there, read_lock, record
from amdm.errors import InputError

RESERVE = 2**30
"""Bytes that stay free on the disk."""


class FetchError(OSError):
    """The network or the other side did not give a file; what was brought before is kept."""


def fetch(files: Sequence[WeightFile], folder: Path, report: Callable[[str], None] = print) -> None:
    """Bring the files that are not there, and record the digest of every one.

    Raises:
        InputError: a file's digest is not the one first seen, or the disk is too small.
        FetchError: a file could not be brought; the way by hand is named where there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for one in files:
        place = str(one.place)
        seen = read_lock(folder).get(place)
        commit = one.revision if one.pinned else seen.commit if seen and seen.commit else "main"
        if is_there(one, folder):
            report(f"{one.name}: there ({record(folder, place, seen.commit if seen else '').sha256[:12]})")
            continue
        _check_space(one, folder)
        report(f"{one.name}: from {one.source} at {commit}")
        found = _from_drive(one, folder) if one.drive_id else _from_hub(one, folder, commit)
        report(f"{one.name}: {record(folder, place, found).sha256[:12]}, {(folder / place).stat().st_size:,} bytes")


def _from_hub(one: WeightFile, folder: Path, commit: str) -> str:
    """Download one file; returns the commit that it is of."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if constants.HF_HUB_OFFLINE:
        raise FetchError(f"{one.name}: offline mode is on (HF_HUB_OFFLINE), and the file is not there")
    try:
        if not one.pinned and commit == "main":
            known = get_hf_file_metadata(hf_hub_url(one.repository, one.path, revision=commit))
            commit = known.commit_hash or commit
        hf_hub_download(one.repository, one.path, revision=commit, local_dir=folder / one.repository)
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as error:
        raise FetchError(f"{one.name}: {one.source}: {_reason(error)}") from error
    except OSError as error:
        raise FetchError(f"{one.name}: {one.source}: {error}") from error
    return commit


def _from_drive(one: WeightFile, folder: Path) -> str:
    """Download one file of Google Drive, which refuses now and then; returns "" (Drive knows no commits)."""
    import gdown

    target = folder / one.place
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = gdown.download(id=one.drive_id, output=str(target), resume=True)
    except Exception as error:  # gdown raises requests', bs4's and its own
        raise FetchError(f"{one.name}: {_reason(error)}; {by_hand(one, folder)}") from error
    if found is None or not target.is_file():
        raise FetchError(f"{one.name}: Google Drive did not give the file; {by_hand(one, folder)}")
    return ""


def by_hand(one: WeightFile, folder: Path) -> str:
    """How a person gets a file that Drive refuses to a program."""
    return f"open drive.google.com/file/d/{one.drive_id}/view in a browser and put the file at {folder / one.place}"


def _check_space(one: WeightFile, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    needed = (one.size or 0) + RESERVE
    if free < needed:
        raise InputError(f"{free:,} bytes are free; {one.name} needs {needed:,}", file=folder)


def _reason(error: BaseException) -> str:
    """The first line of what a library says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]

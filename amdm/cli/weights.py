"""``amdm weights``: public checkpoints: what there is, bringing it, converting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amdm.errors import InputError
from amdm.output import JsonOption, tell, tell_aside

if TYPE_CHECKING:
    from amdm.checkpoints.catalogue import WeightFile
    from amdm.checkpoints.weights_folder import LockEntry

WRONG = "WRONG"

app = typer.Typer(no_args_is_help=True, help="Public checkpoints: list, fetch, convert.")

FolderOption = Annotated[
    Path | None, typer.Option("--weights-dir", help="default: AMDM_WEIGHTS_DIR, else amdm/weights in the user's cache")
]
ProfileOption = Annotated[
    str, typer.Option(help="paper, gligen, interactdiffusion-v1.2, interactdiffusion-v1.2-fp16 or judge")
]


@app.command("list")
def list_files(
    profile: Annotated[str | None, typer.Option(help="of one profile only")] = None,
    weights_dir: FolderOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="hash every file that is there")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show each profile's files: source, revision, size, licence, where each would lie, and whether it is there.

    Example: amdm weights list --profile paper
    """
    from amdm.checkpoints.catalogue import PROFILES, files_of
    from amdm.checkpoints.weights_folder import read_lock
    from amdm.checkpoints.weights_folder import weights_dir as place

    folder = place(weights_dir)
    lock = read_lock(folder)
    wrong: dict[str, str] = {}
    lines, files = [f"weights folder: {folder}"], []
    for name in [profile] if profile else PROFILES:
        lines.append(f"\n{name}")
        for one in files_of(name):
            seen = lock.get(str(one.place))
            state = _state(one, folder, seen, verify)
            if state.startswith(WRONG):
                wrong[one.name] = state
            about = {"source": one.source, "revision": _revision(one, seen), "size": _size(one, seen)}
            files.append({"profile": name, "name": one.name, "state": state, "place": one.place, **about})
            lines.append(f"  {one.name}: {state}")
            lines.append(f"    {one.source} @ {_revision(one, seen)}; {_size(one, seen)}; {one.licence}")
            lines.append(f"    {one.place}")
    total = _total([profile] if profile else PROFILES, lock)
    tell("\n".join([*lines, f"\n{total}"]), {"folder": folder, "files": files, "total": total}, as_json)
    if wrong:
        raise InputError(f"wrong: {', '.join(wrong)}", file=folder)


def _size(one: WeightFile, seen: LockEntry | None) -> str:
    if seen or one.size is not None:
        return f"{seen.size if seen else one.size:,} bytes"
    if one.about is None:
        return "a small text file" if one.is_text else "size not known"
    return f"about {one.about / 1e6:,.0f} MB"


def _total(profiles: Sequence[str], lock: Mapping[str, LockEntry]) -> str:
    """What the profiles' files take, those of several counted once; a file of unknown size is named."""
    from amdm.checkpoints.catalogue import files_of

    files = {one.name: one for profile in profiles for one in files_of(profile)}
    sizes = {
        name: seen.size if (seen := lock.get(str(one.place))) else one.expected_bytes for name, one in files.items()
    }
    unknown = [name for name, size in sizes.items() if size is None and not files[name].is_text]
    download = sum(size or 0 for size in sizes.values())
    disk = download + sum(one.converted or 0 for one in files.values())
    without = f", without {', '.join(unknown)} (size not known)" if unknown else ""
    return (
        f"in all: download about {download / 1e9:.1f} GB, on disk about {disk / 1e9:.1f} GB with conversions{without}"
    )


def _state(one: WeightFile, folder: Path, seen: LockEntry | None, verify: bool) -> str:
    from amdm.checkpoints import weights_folder

    if not weights_folder.is_there(one, folder):
        return "absent"
    if not verify:
        return f"there, {seen.sha256[:12]}" if seen else "there, not recorded"
    try:
        return f"there, verified, {weights_folder.verify(one, folder)[:12]}" + ("" if seen else ", not recorded")
    except InputError as error:
        return f"{WRONG}: {error.what}"


def _revision(one: WeightFile, seen: LockEntry | None) -> str:
    if one.drive_id:
        older = f"; earlier upload, a fallback: {one.older_drive_id}" if one.older_drive_id else ""
        return f"what is there (Drive names no revisions{older})"
    if one.pinned:
        return one.revision
    recorded = seen.commit if seen else ""
    return f"{recorded} (as first fetched)" if recorded else "main (not pinned: the commit is recorded at first fetch)"


@app.command()
def fetch(
    profile: ProfileOption = "paper",
    weights_dir: FolderOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be brought, and bring nothing")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a profile's files; run again, it goes on. Each digest is recorded at first sight, a later change noticed.

    Example: amdm weights fetch --profile paper --dry-run
    """
    from amdm.checkpoints.catalogue import files_of
    from amdm.checkpoints.fetch import fetch as bring
    from amdm.checkpoints.weights_folder import is_there, read_lock
    from amdm.checkpoints.weights_folder import weights_dir as place

    folder, files = place(weights_dir), files_of(profile)
    if dry_run:
        lock, lines, document = read_lock(folder), [], []
        for one in files:
            state = "there" if is_there(one, folder) else "to be brought"
            seen = lock.get(str(one.place))
            lines.append(f"{one.name}: {state}: {one.source} @ {_revision(one, seen)}; {_size(one, seen)}")
            lines.append(f"    {one.licence} -> {folder / one.place}")
            document.append({"name": one.name, "state": state, "source": one.source, "place": folder / one.place})
        total = _total([profile], lock)
        tell("\n".join([*lines, total]), {"folder": folder, "files": document, "total": total}, as_json)
        return
    bring(files, folder, partial(tell_aside, as_json=as_json))
    if as_json:
        tell("", {"folder": folder, "files": [{"name": one.name, "place": folder / one.place} for one in files]}, True)


@app.command()
def convert(weights_dir: FolderOption = None, as_json: JsonOption = False) -> None:
    """Turn PyTorch checkpoints into safetensors, once, without executing what is pickled in them.

    A key that is left over, missing or of another shape is an error that names it.
    """
    from amdm.checkpoints.convert import convert_all
    from amdm.checkpoints.weights_folder import weights_dir as place

    lines: list[str] = []
    convert_all(place(weights_dir), lines.append if as_json else typer.echo)
    if as_json:
        tell("", {"folder": place(weights_dir), "converted": lines}, True)

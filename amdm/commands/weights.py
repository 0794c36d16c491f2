"""``amdm weights``: public checkpoints: what there is, bringing it, converting it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amdm.errors import InputError

if TYPE_CHECKING:
    from amdm.checkpoints.catalogue import WeightFile
    from amdm.checkpoints.store import Seen

WRONG = "WRONG"

app = typer.Typer(no_args_is_help=True, help="Public checkpoints: list, fetch, convert.")

FolderOption = Annotated[
    Path | None, typer.Option("--weights-dir", help="default: AMDM_WEIGHTS_DIR, else amdm/weights in the user's cache")
]
ProfileOption = Annotated[str, typer.Option(help="paper, gligen, interactdiffusion-v1.2 or judge")]


@app.command("list")
def list_files(
    profile: Annotated[str | None, typer.Option(help="of one profile only")] = None,
    weights_dir: FolderOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="hash every file that is there")] = False,
) -> None:
    """Show each profile's files: source, revision, size, licence, where each would lie, and whether it is there.

    Example: amdm weights list --profile paper
    """
    from amdm.checkpoints.catalogue import PROFILES, files_of
    from amdm.checkpoints.store import read_lock
    from amdm.checkpoints.store import weights_dir as place

    folder = place(weights_dir)
    lock = read_lock(folder)
    wrong: dict[str, str] = {}
    typer.echo(f"weights folder: {folder}")
    for name in [profile] if profile else PROFILES:
        typer.echo(f"\n{name}")
        for one in files_of(name):
            seen = lock.get(str(one.place))
            state = _state(one, folder, seen, verify)
            if state.startswith(WRONG):
                wrong[one.name] = state
            bytes_ = seen.size if seen else one.size
            size = f"{bytes_:,} bytes" if bytes_ is not None else "size not known"
            typer.echo(f"  {one.name}: {state}\n    {one.source} @ {_revision(one, seen)}; {size}; {one.licence}")
            typer.echo(f"    {one.place}")
    if wrong:
        raise InputError(f"wrong: {', '.join(wrong)}", file=folder)


def _state(one: WeightFile, folder: Path, seen: Seen | None, verify: bool) -> str:
    from amdm.checkpoints import store

    if not store.is_there(one, folder):
        return "absent"
    if not verify:
        return f"there, {seen.sha256[:12]}" if seen else "there, not recorded"
    try:
        return f"there, verified, {store.verify(one, folder)[:12]}" + ("" if seen else ", not recorded")
    except InputError as error:
        return f"{WRONG}: {error.what}"


def _revision(one: WeightFile, seen: Seen | None) -> str:
    if one.drive_id:
        return "what is there (Drive names no revisions)"
    if one.pinned:
        return one.revision
    recorded = seen.commit if seen else ""
    return f"{recorded} (as first fetched)" if recorded else "main (not pinned: the commit is recorded at first fetch)"


@app.command()
def fetch(
    profile: ProfileOption = "paper",
    weights_dir: FolderOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be brought, and bring nothing")] = False,
) -> None:
    """Bring a profile's files; run again, it goes on. Each digest is recorded at first sight, a later change noticed.

    Example: amdm weights fetch --profile paper --dry-run
    """
    from amdm.checkpoints.catalogue import files_of
    from amdm.checkpoints.fetch import fetch as bring
    from amdm.checkpoints.store import is_there, read_lock
    from amdm.checkpoints.store import weights_dir as place

    folder, files = place(weights_dir), files_of(profile)
    if dry_run:
        lock = read_lock(folder)
        for one in files:
            state = "there" if is_there(one, folder) else "to be brought"
            size = f"{one.size:,} bytes" if one.size is not None else "size not known"
            typer.echo(f"{one.name}: {state}: {one.source} @ {_revision(one, lock.get(str(one.place)))}; {size}")
            typer.echo(f"    {one.licence} -> {folder / one.place}")
        return
    bring(files, folder, typer.echo)


@app.command()
def convert(weights_dir: FolderOption = None) -> None:
    """Turn PyTorch checkpoints into safetensors, once, without executing what is pickled in them.

    A key that is left over, missing or of another shape is an error that names it.
    """
    from amdm.checkpoints.converted import convert_all
    from amdm.checkpoints.store import weights_dir as place

    convert_all(place(weights_dir), typer.echo)

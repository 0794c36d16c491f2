"""``amdm weights``: public checkpoints: what there is, bringing it, converting it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Public checkpoints: list, fetch, convert.")

FolderOption = Annotated[
    Path | None, typer.Option("--weights-dir", help="default: AMDM_WEIGHTS_DIR, else amdm/weights in the user's cache")
]
ProfileOption = Annotated[str, typer.Option(help="paper, gligen, interactdiffusion-v1.2 or judge")]


@app.command("list")
def list_files(
    profile: Annotated[str | None, typer.Option(help="of one profile only")] = None, weights_dir: FolderOption = None
) -> None:
    """Show each profile's files: source, revision, size, licence, where each would lie, and whether it is there.

    Example: amdm weights list --profile paper
    """
    from amdm.checkpoints.catalogue import PROFILES, files_of
    from amdm.checkpoints.store import is_there, read_lock
    from amdm.checkpoints.store import weights_dir as place

    folder = place(weights_dir)
    typer.echo(f"weights folder: {folder}")
    lock = read_lock(folder)
    for name in [profile] if profile else PROFILES:
        typer.echo(f"\n{name}")
        for one in files_of(name):
            seen = lock.get(str(one.place))
            revision = one.revision if one.pinned else (seen.commit if seen and seen.commit else "not pinned")
            size = f"{seen.size if seen else one.size:,} bytes" if seen or one.size else "size not known"
            there = f"there, {seen.sha256[:12]}" if seen and is_there(one, folder) else "there, not recorded"
            state = there if is_there(one, folder) else "absent"
            typer.echo(f"  {one.name}: {state}\n    {one.source} @ {revision}; {size}; {one.licence}\n    {one.place}")


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
    from amdm.checkpoints.store import is_there
    from amdm.checkpoints.store import weights_dir as place

    folder, files = place(weights_dir), files_of(profile)
    if dry_run:
        for one in files:
            state = "there" if is_there(one, folder) else "to be brought"
            typer.echo(f"{one.name}: {state}: {one.source} @ {one.revision} -> {folder / one.place} ({one.licence})")
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

"""Processes that descend from one, so that a test looks at its own and kills no other's."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def named(root: int, name: str) -> list[int]:
    """Of these, the ones whose command line begins with ``name``."""
    return [one for one in family(root) if _command(one).startswith(name)]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""

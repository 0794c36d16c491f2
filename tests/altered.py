"""Files that are no longer what was recorded of them."""

from __future__ import annotations

from pathlib import Path


def flip_last_bit(path: Path) -> None:
    """The smallest change to a file: its SHA-256 is another one, and its size is not."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

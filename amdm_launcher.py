"""Where the console scripts start: they take amdm and bench from beside this file, whatever the working folder holds.

A folder ``bench`` or ``amdm`` of the user's, in a folder that PYTHONPATH names (``.`` for one), would come first
otherwise. It is done at import, so that worker processes, which import the script again, do as their parent did.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _take_our_packages() -> None:
    """Import both packages, which decides where all of their modules come from; the search path is then as before."""
    before = list(sys.path)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        import amdm  # noqa: F401
        import bench  # noqa: F401
    finally:
        sys.path[:] = before


def start_amdm() -> None:
    """The command ``amdm``."""
    from amdm.cli.main import main

    main()


def start_bench() -> None:
    """The command ``amdm-bench``."""
    from bench.cli.main import main

    main()


_take_our_packages()

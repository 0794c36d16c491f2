"""``python -m amdm``."""

from amdm.cli.main import main

main()

"""Files of layouts that others wrote: errors that name them, and YAML."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from amdm.errors import InputError
from amdm.io.files import read_text
from amdm.io.yaml import load_plain


@contextmanager
def in_file(path: Path | None) -> Iterator[None]:
    """An InputError that is raised inside names the file."""
    try:
        yield
    except InputError as error:
        raise error.within(file=path) from None


def read_yaml(path: Path, largest: int) -> Any:
    """A plain value (:func:`amdm.io.yaml.load_plain`) of at most so many bytes. Raises InputError naming the file."""
    text = read_text(path, largest)
    with in_file(path):
        try:
            return load_plain(text)
        except InputError:
            raise
        except (yaml.YAMLError, ValueError) as error:
            raise InputError(f"not YAML: {error}") from None

"""External generators: any Python callable from layouts to pictures."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import yaml

from amdm.errors import InputError, unknown
from amdm.io.files import sha256
from amdm.io.images import check_size
from amdm.io.picture import to_pixels
from amdm.io.yaml import load_plain
from amdm.layout import Layout
from amdm.noise import keyed_generator
from bench.generators.generator import ContractError, Generator
from bench.run.images import MAX_PIXELS
from bench.workers.tracebacks import foreign_traceback

ARGUMENT_EVENTS = 200
"""Of the YAML parser, at most, for one argument."""

UserFunction = Callable[..., Any]
"""(layouts, seeds) → pictures; with a parameter ``styles`` it is given a picture a layout, too."""


def load_callable(name: str, arguments: Sequence[str] = (), device: str = "cpu") -> UserFunction:
    """A user's function from layouts and seeds to pictures.

    The function gets layouts and one seed a layout (the same whatever the batch), and returns as many pictures, or an
    object that has them as ``images``. Where the layouts name style pictures it is given them, PIL images in RGB, as
    ``styles``, and must have that parameter. A picture is what :func:`amdm.io.picture.to_pixels` takes.

    Args:
        name: see :func:`find_callable`. A class is built, and so is whatever gets arguments: what it returns is the
            function then. So a model is loaded once in each process, and not when its module is imported.
        arguments: ``"<name>=<value>"`` for building it; values are read as YAML.
        device: given to what is built as ``device``, where it takes that.

    Raises:
        InputError: there is no such function, or it cannot be built. What the user's code raised is on stderr then.
    """
    found, given = find_callable(name), parse_arguments(arguments)
    if not given and not inspect.isclass(found):
        return found
    try:
        built = found(**_accepted(found, given, device))
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        sys.stderr.write(foreign_traceback(error))
        raise InputError(f"{name!r} cannot be built: {type(error).__name__}: {error}", field="generator") from error
    if not callable(built):
        raise InputError(f"{name!r} made a {type(built).__name__}, which is not callable", field="generator")
    return built  # type: ignore[no-any-return]


def check_arguments(name: str, arguments: Sequence[str]) -> None:
    """Raise InputError for arguments that the class or factory does not take, without building anything."""
    found, given = find_callable(name), parse_arguments(arguments)
    if given or inspect.isclass(found):
        _accepted(found, given, "cpu")


def _accepted(found: Any, given: dict[str, Any], device: str) -> dict[str, Any]:
    """The arguments that something is built with."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # of what is built in: it will say so itself
        return given
    takes = signature.parameters
    open_ended = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values())
    for name in given:
        if name not in takes and not open_ended:
            raise unknown("argument", name, list(takes), field="generator-arg")
    whole = {"device": device, **given} if "device" in takes else given
    try:
        signature.bind(**whole)
    except TypeError as error:
        raise InputError(f"{error}; give it with --generator-arg name=value", field="generator-arg") from None
    return whole


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """``"<name>=<value>"`` → name and value, read as YAML. Raises InputError for another form, or a name twice."""
    given: dict[str, Any] = {}
    for one in arguments:
        name, sign, value = one.partition("=")
        if not sign or not name.isidentifier() or name in given:
            raise InputError(f"{one!r} is not of the form name=value, each name once", field="generator-arg")
        try:
            given[name] = load_plain(value, ARGUMENT_EVENTS)
        except (InputError, yaml.YAMLError, ValueError) as error:
            raise InputError(f"{one!r} has no value: {error}", field="generator-arg") from None
    return given


def find_callable(name: str) -> Any:
    """``"my_module:my_function"``, looked for in the current folder and where Python looks; or ``"file.py:function"``.

    Raises:
        InputError: there is no such module or function. What the user's own code raised is on stderr then.
    """
    module, sign, function = name.rpartition(":")
    if not sign or not module or not function:
        raise InputError(f"{name!r} is not of the form module:function or path/file.py:function", field="generator")
    try:
        loaded = _module(module)
        if not hasattr(loaded, function):
            public = [one for one in vars(loaded) if callable(getattr(loaded, one)) and not one.startswith("_")]
            raise unknown(f"function of {module}", function, public, field="generator")
        found = getattr(loaded, function)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a module of the user's may raise anything when it is imported
        sys.stderr.write(foreign_traceback(error))
        raise InputError(f"{name!r} cannot be imported: {type(error).__name__}: {error}", field="generator") from error
    if not callable(found):
        raise InputError(f"{name!r} is not callable", field="generator")
    return found


def _module(name: str) -> ModuleType:
    if not name.endswith(".py"):
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(name)
    path = Path(name).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"{name} is not a file")
    own = f"generator_{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"  # its stem may be a module's name already
    if own in sys.modules:
        return sys.modules[own]
    spec = importlib.util.spec_from_file_location(own, path)
    assert spec is not None and spec.loader is not None
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # as Python does for a script: what lies beside it can be imported
    module = importlib.util.module_from_spec(spec)
    sys.modules[own] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[own]
        raise
    return module


def callable_digest(name: str) -> str:
    """SHA-256 of the file that is named and, where it only names what stands in another one, of that file too."""
    found = inspect.unwrap(find_callable(name))
    try:
        source = inspect.getsourcefile(found if inspect.isroutine(found) or inspect.isclass(found) else type(found))
    except TypeError:  # of what is built in
        source = None
    if source is None:
        raise InputError(f"the source of {name!r} was not found", field="generator")
    named = getattr(_module(name.rpartition(":")[0]), "__file__", None)
    files = dict.fromkeys(Path(path).resolve() for path in (named, source) if path is not None)
    digests = [sha256(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def as_generator(function: UserFunction, name: str) -> Generator:
    """A user's function as the benchmark's own generators are called; what it returns is checked."""

    def run(method: str, layouts: Sequence[Layout], keys: Sequence[str], **conditions: Any) -> Any:
        if conditions and not _takes(function, conditions):
            what = (
                f"has no parameter {', '.join(conditions)}, which the layouts ask for (it may ignore what it is given)"
            )
            raise ContractError(what, field=f"generator {name}")
        seeds = [keyed_generator(key, "generator").initial_seed() % 2**32 for key in keys]  # NumPy takes 32 bits
        try:
            returned = function(list(layouts), seeds, **conditions)
            made = [_pixels(one, name) for one in _pictures(returned, name)]
        except SystemExit as error:  # else the run would end here, with the status that the function chose
            raise RuntimeError(f"the function ended the program ({error})") from error
        if len(made) != len(layouts):
            what = f"returned {len(made)} pictures for {len(layouts)} layouts; it must return one for each"
            raise ContractError(what, field=f"generator {name}")
        return SimpleNamespace(images=made, finite=[one is not None for one in made], evaluations={})

    return run


def _takes(function: UserFunction, names: Iterable[str]) -> bool:
    """Whether the function can be called with arguments of these names."""
    try:
        takes = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of what is built in: it will say so itself
        return True
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values()) or set(names) <= set(takes)


def _pictures(returned: Any, name: str) -> Iterator[Any]:
    """One by one; of what diffusers' pipelines return, the pictures."""
    pictures = getattr(returned, "images", returned)
    if isinstance(pictures, str | bytes | dict) or not hasattr(pictures, "__iter__"):
        what = f"returned {type(pictures).__name__}; it must return a list of pictures, or an object with such images"
        raise ContractError(what, field=f"generator {name}")
    return iter(pictures)


def _pixels(picture: Any, name: str) -> np.ndarray | None:
    try:
        pixels = to_pixels(picture)
        if pixels is not None:
            check_size(pixels.shape[1], pixels.shape[0], MAX_PIXELS)
    except InputError as error:
        raise ContractError(f"gave a picture that {error.what}", field=f"generator {name}") from error
    return pixels

"""Code of the user's: a module or a file, executed once a process, that hides no other module."""

import importlib
import importlib.util
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import SpecError
from bench.problems.own_names import own_names

# Raised by code that was written to be a program of its own.
ENDINGS = (SystemExit, KeyboardInterrupt)


def imported(name: str, address: str) -> ModuleType:
    """The module ``pkg.module``, or the file ``path/to/file.py``, of a model's address.

    Modules beside a file, or in the present directory, are found behind all that is installed.

    Raises:
        SpecError: there is none, or executing it raised.
    """
    try:
        if Path(name).suffix == ".py":
            return _executed(Path(name).resolve())
        _reach(Path.cwd())
        with own_names(Path.cwd()):
            return _mine(name, importlib.import_module(name))
    except (Exception, *ENDINGS) as error:
        raise SpecError(
            f"expected to import {name!r} for the model {address!r}; {happened(error)}"
        ) from error


def happened(error: BaseException) -> str:
    """What code of the user's did in place of going on."""
    if isinstance(error, SystemExit):
        return (
            f"it called sys.exit({'' if error.code is None else repr(error.code)}): keep what a "
            "program does below 'if __name__ == \"__main__\":'"
        )
    return f"it raised {': '.join(filter(None, (type(error).__name__, str(error))))}"


@cache
def _executed(path: Path) -> ModuleType:
    """The module of a file, under a name that no import statement can mean."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    name = f"{path.stem} of {sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    _reach(path.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with own_names(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _mine(name: str, found: ModuleType) -> ModuleType:
    """The module, unless a library's was found where a file of the present directory is meant."""
    file = Path.cwd() / f"{name}.py"
    if not file.is_file() or file.samefile(found.__file__ or ""):
        return found
    return _executed(file.resolve())


def _reach(folder: Path) -> None:
    # Behind everything: a stray statistics.py in it must not become the library's.
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def called(function: Any, address: str, arguments: dict[str, Any]) -> Any:
    """What the user's function returns.

    Raises:
        SpecError: it ended the program; any other exception passes.
    """
    name = Path(address.rpartition(":")[0])
    try:
        with own_names(name.resolve().parent if name.suffix == ".py" else Path.cwd()):
            return function(**arguments)
    except ENDINGS as error:
        raise SpecError(f"expected {address} to return; {happened(error)}") from error

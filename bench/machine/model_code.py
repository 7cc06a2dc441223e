"""Which version of a user's own model was measured: digests of its files, and their commit."""

import ast
import subprocess
import sysconfig
from collections.abc import Iterator
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from bench.machine.git import git

KEY = "model_code"

# Whose version the environment has already; the user may have packages of these names, elsewhere.
_OURS = {"teleport_core", "baselines", "bench", "reports"}
_HOME = Path(__file__).resolve().parents[2]
_INSTALLED = {"site-packages", "dist-packages"}
_GIT_TIMEOUT_S = 10.0


def model_facts(address: str) -> dict[str, Any]:
    """The entries of an environment on the model at an address.

    ``model_code`` has the digests, ``model_commit`` the commit of the repository that the files lie
    in and ``model_dirty`` whether they were changed since; both are None where there is none.
    """
    found = _place(address)
    if found is None:
        return {KEY: {}}
    root = found[0]
    files = _followed(*found)
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", *files) if commit else None
    dirty = None if changes is None else bool(changes)
    return {KEY: files, "model_commit": commit, "model_dirty": dirty}


def model_code(address: str) -> dict[str, str]:
    """File -> digest, of ``path/to/file.py:factory`` or ``pkg.module:factory``.

    Of what it imports the files below the same folder count, named by their paths in it. Empty for
    a network of ours, and for a module in site-packages, whose version its package tells.
    """
    found = _place(address)
    return {} if found is None else _followed(*found)


def _place(address: str) -> tuple[Path, list[Path]] | None:
    """The folder that imports begin at, and the files of the factory's module in it."""
    module, _, function = address.rpartition(":")
    if not function or not module:
        return None
    if module.endswith(".py"):
        path = Path(module).resolve()
        return (path.parent, [path]) if path.is_file() else None
    package = module.partition(".")[0]
    for root in _roots(package):
        files = [file for file in _files(root, module.split(".")) if file.is_file()]
        if files:
            return root, files
    return None


def _roots(package: str) -> Iterator[Path]:
    """The present directory, and where else a package lies, unless it was installed there."""
    if not _is_ours(Path.cwd(), package):
        yield Path.cwd()
    if package in _OURS:
        return
    spec = PathFinder.find_spec(package)
    if spec is None:
        return
    for place in map(Path, spec.submodule_search_locations or filter(None, [spec.origin])):
        library = place.is_relative_to(sysconfig.get_path("stdlib"))
        if not library and not _INSTALLED & {*place.parts}:
            yield place.parent


def _followed(root: Path, left: list[Path]) -> dict[str, str]:
    """Digests of files and of all below ``root`` that they import, and those import."""
    found: dict[str, str] = {}
    while left:
        path = left.pop()
        name = path.relative_to(root).as_posix()
        if name in found or not path.is_file():
            continue
        source = path.read_bytes()
        found[name] = sha256(source).hexdigest()[:16]
        for parts in _imported(source, path.relative_to(root).parent.parts):
            left += [] if _is_ours(root, parts[0]) else _files(root, parts)
    return dict(sorted(found.items()))


def _is_ours(root: Path, package: str) -> bool:
    """Whether this name means a package of ours to a file below ``root``."""
    return package == "teleport_core" or (package in _OURS and root.resolve() == _HOME)


def _files(root: Path, parts: list[str]) -> list[Path]:
    """Where the code of a.b.c may stand: the packages around it, and the module itself."""
    folders = [root.joinpath(*parts[: n + 1]) for n in range(len(parts))]
    packages = [folder / "__init__.py" for folder in folders]
    return [*packages, folders[-1].with_suffix(".py")] if folders else []


def _imported(source: bytes, package: tuple[str, ...]) -> Iterator[list[str]]:
    """The parts of the names of the modules that a file of a package may import."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # the import itself will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = list(package[: len(package) - node.level + 1]) if node.level else []
            base = [*above, *(node.module.split(".") if node.module else [])]
            # What is taken from a package may be a module of it.
            names = [base, *([*base, alias.name] for alias in node.names if alias.name != "*")]
        else:
            continue
        yield from filter(None, names)


def _git(where: Path, *arguments: str) -> str | None:
    """What git answers; None without a repository, git or answer."""
    try:
        answer = git(where, *arguments, timeout=_GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None

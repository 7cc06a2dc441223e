"""A factory inside a repository of the user's: one address for it, and a subject in each revision.

The address is the file's place in the repository, so that cells, calibrations and kept baselines
are the same wherever the command was given. A file in a package is imported as a module of it, with
its relative imports; any other is executed as a file.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.errors import SpecError
from bench.gate.subject import Subject
from bench.process.local import SOURCE_ROOT
from bench.process.source_tree import RESERVED, SourceTree

# Below it the folders that hold no __init__.py are packages, too.
_SOURCES = "src"


@dataclass(frozen=True)
class OwnModel:
    """``function`` in ``file``, a path relative to the root of the repository."""

    repository: Path
    file: PurePosixPath
    function: str

    @property
    def address(self) -> str:
        """What the model is called in specs, records and tables."""
        return f"{self.file}:{self.function}"

    def subject(self, tree: Path) -> Subject:
        """What is measured in a checkout of some revision."""
        root, module = _importable(tree, self.file)
        # The first one that has a name wins.
        roots = tuple(dict.fromkeys(r for r in (root, tree / _SOURCES, tree) if r.is_dir()))
        return Subject(
            root=tree,
            benchmark=SOURCE_ROOT,
            imports=SourceTree(tree, roots, self.repository, module.partition(".")[0]),
            model=f"{module or self.file}:{self.function}",
            absent="" if (tree / self.file).is_file() else f"there is no {self.file}",
        )


def own_model(address: str, repository: Path, where: Path) -> OwnModel:
    """The factory behind ``path/to/file.py:factory`` or ``pkg.module:factory`` in a repository.

    Both are looked for in ``where``, modules in the root of the repository and in src as well.

    Raises:
        SpecError: no address of a function, or no such file in the working tree.
    """
    name, _, function = address.rpartition(":")
    if not name or not function:
        raise SpecError(
            f"expected --model to be a function of this repository's; got {address!r}: write "
            "path/to/file.py:factory"
        )
    for file in _places(name, repository, where):
        if file.is_file() and file.resolve().is_relative_to(repository):
            relative = file.resolve().relative_to(repository)
            return OwnModel(repository, PurePosixPath(relative.as_posix()), function)
    raise SpecError(
        f"expected the file of {address} in {repository}; there is none: write its path, as in "
        "--model src/acme/models.py:factory"
    )


def _places(name: str, repository: Path, where: Path) -> list[Path]:
    """Where the file of a module may stand."""
    if name.endswith(".py"):
        return [where / name]
    path = Path(*name.split("."))
    folders = [where, where / _SOURCES, repository, repository / _SOURCES]
    return [f / tail for f in folders for tail in (path.with_suffix(".py"), path / "__init__.py")]


def _importable(tree: Path, file: PurePosixPath) -> tuple[Path, str]:
    """Where imports of a file begin, and its module; "" if it belongs to no package."""
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while folder.parts and folder.name != _SOURCES and _is_package(tree, folder):
        parts.insert(0, folder.name)
        folder = folder.parent
    packaged = parts and (len(parts) > 1 or file.stem == "__init__")
    if not packaged or parts[0] in RESERVED or not all(part.isidentifier() for part in parts):
        return tree / file.parent, ""
    return tree / folder, ".".join(parts)


def _is_package(tree: Path, folder: PurePosixPath) -> bool:
    return (tree / folder / "__init__.py").is_file() or _SOURCES in folder.parts[:-1]

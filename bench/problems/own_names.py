"""Packages of the user's that are called as ours: each side finds its own."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_OURS = ("bench", "baselines", "reports")
_HOME = Path(__file__).resolve().parents[2]

# By folder, what was imported from it under these names, while our own is in its place.
_theirs: dict[Path, dict[str, ModuleType]] = {}


@contextmanager
def own_names(folder: Path) -> Iterator[None]:
    """Within, ``import bench`` means the package of that name in ``folder``, where there is one.

    What is imported only when a model is run, later, finds ours.
    """
    names = [name for name in _OURS if _has(folder, name)]
    ours = _taken(names)
    sys.modules.update(_theirs.get(folder, {}))
    finder = _Finder(folder, names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _theirs[folder] = _taken(names)
        sys.modules.update(ours)


def _has(folder: Path, name: str) -> bool:
    there = (folder / name).is_dir() or (folder / f"{name}.py").is_file()
    return there and folder.resolve() != _HOME


def _is_of(module: str, names: Sequence[str]) -> bool:
    return module.partition(".")[0] in names


def _taken(names: Sequence[str]) -> dict[str, ModuleType]:
    """All that was imported under these names; it is imported no longer."""
    there = [module for module in sys.modules if _is_of(module, names)]
    return {module: sys.modules.pop(module) for module in there}


class _Finder:
    """Looks for a few names in one folder before all else."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = str(folder), names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As an importer does; the modules of a package are found by the package."""
        if path is None and name in self._names:
            return PathFinder.find_spec(name, [self._folder], target)
        return None

"""Imports of a user's code from one source tree, whichever version of it is installed.

A gate imports two revisions of a package in two processes. The package is often installed as well,
as a link into the working tree or as a copy, and no process must get a module of that. So names are
looked for in the process's own tree first, and links into the working tree are led into it. The
standard library and our own packages come before both: a stray statistics.py stays what it is.
"""

import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

VARIABLE = "TELEPORT_BENCH_TREE"

RESERVED = sys.stdlib_module_names | {"bench", "baselines", "reports", "teleport_core"}

_BENCHMARK = Path(__file__).resolve().parents[2]
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class SourceTree:
    """A checkout at ``path``, whose imports begin at ``roots``, in place of ``working_tree``.

    ``package`` is found in it even where it is a folder without an __init__.py.
    """

    path: Path
    roots: tuple[Path, ...]
    working_tree: Path
    package: str = ""

    def variables(self) -> dict[str, str]:
        """What tells a worker of it."""
        facts = {
            "path": str(self.path),
            "roots": [str(root) for root in self.roots],
            "working_tree": str(self.working_tree),
            "package": self.package,
        }
        return {VARIABLE: json.dumps(facts)}

    def led(self, entries: Iterable[str]) -> list[str]:
        """Entries of ``sys.path``, those inside the working tree put into this tree."""
        return [str(self._led(Path(entry))) if entry else entry for entry in entries]

    def _led(self, entry: Path) -> Path:
        foreign = _in_working_tree(entry, self.working_tree)
        return self.path / entry.relative_to(self.working_tree) if foreign else entry

    def strays(self, modules: Iterable[tuple[str, Any]]) -> list[str]:
        """``name (file)`` of every module that was taken from the working tree all the same."""
        found = []
        for name, module in modules:
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or name.partition(".")[0] in RESERVED:
                continue
            path = Path(file).resolve()
            if not path.is_relative_to(self.path) and _in_working_tree(path, self.working_tree):
                found.append(f"{name} ({path})")
        return sorted(found)


class _TreeFinder(MetaPathFinder):
    """Finds what stands in the roots before any other finder is asked."""

    def __init__(self, roots: Sequence[str], package: str) -> None:
        self._roots, self._package = list(roots), package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> ModuleSpec | None:
        """The module of a tree; other folders are left to the search along ``sys.path``."""
        if path is not None or fullname in RESERVED:
            return None
        found = PathFinder.find_spec(fullname, self._roots, target)
        is_folder = found is not None and found.loader is None
        return None if is_folder and fullname != self._package else found


def present_tree() -> SourceTree | None:
    """The tree that this process was started for; None in an ordinary worker."""
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    facts = json.loads(text)
    roots = tuple(map(Path, facts["roots"]))
    return SourceTree(Path(facts["path"]), roots, Path(facts["working_tree"]), facts["package"])


def import_from_tree() -> None:
    """Have this process, started for a tree, import from there."""
    tree = present_tree()
    if tree is None:
        return
    roots = [str(root) for root in tree.roots]
    sys.path[:] = tree.led(sys.path)
    # Processes that it starts get the path and no finder.
    sys.path += [root for root in roots if root not in sys.path]
    sys.meta_path.insert(0, _TreeFinder(roots, tree.package))


def _in_working_tree(path: Path, working_tree: Path) -> bool:
    """Whether a place is part of the user's own code, and not of an environment that lies there."""
    if not path.is_relative_to(working_tree) or _INSTALLED & {*path.parts}:
        return False
    elsewhere = (_BENCHMARK, Path(sys.prefix), Path(sysconfig.get_path("stdlib")))
    return not any(path.is_relative_to(place) for place in elsewhere)

"""What the command line knows of a data set before it is loaded; free of torch."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.locations import FileSet, find, locate, shown

Loader = Callable[[Path | None], Dataset]


@dataclass(frozen=True)
class Entry:
    """A data set's line in the list."""

    name: str  # what ``load_dataset`` takes
    state: Literal["yes", "no", "damaged"]  # damaged: what is here cannot be used
    where: str  # the folder, or what is wrong, or how to get it
    samples: int | None  # None where only loading would tell


@dataclass(frozen=True)
class Checked:
    """A file that was read from end to end; ``note`` compares its hash with the official one."""

    name: str
    what: str
    shape: tuple[int, ...]
    md5: str
    note: str


@dataclass(frozen=True)
class Remote:
    """An address ending in ``/``, and the MD5 of every file under it."""

    address: str
    md5: dict[str, str]


@dataclass(frozen=True)
class Provider:
    """A data set that its package brings along, or makes up."""

    load: Loader  # makes the data set, given the folder to look in before all others

    def entry(self, name: str, data_dir: Path | None) -> Entry:
        """Whether it is here, from headers alone.

        Raises:
            DataError: what is here is damaged.
        """
        return Entry(name, "yes", f"with {self.load.__module__}", None)

    def check(self, name: str, data_dir: Path | None) -> list[Checked]:
        """Read everything it consists of.

        Raises:
            DataError: absent or damaged.
        """
        loaded = self.load(data_dir)
        return [Checked(name, loaded.source, tuple(loaded.inputs.shape), "-", "loaded")]


@dataclass(frozen=True)
class FileProvider(Provider):
    """A data set in files that have to be on this machine."""

    files: FileSet[Any]
    remote: Remote | None = None  # None where no official hash is known

    def entry(self, name: str, data_dir: Path | None) -> Entry:
        """The first place that holds its files, or how to get them."""
        located = find(self.files, data_dir)
        if located is None:
            how = f"teleport-bench data fetch {name}" if self.remote else self.files.advice
            return Entry(name, "no", how, None)
        return Entry(name, "yes", shown(located.folder), self.files.count(located.files))

    def check(self, name: str, data_dir: Path | None) -> list[Checked]:
        """Parse and hash every file."""
        checked = self.files.check(locate(self.files, data_dir).files)
        return [self._checked(name, path, shape) for path, shape in checked]

    def _checked(self, name: str, path: Path, shape: tuple[int, ...]) -> Checked:
        if path.is_dir():
            return Checked(name, shown(path), shape, "-", "whole; no official hash of a folder")
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        official = self.remote.md5.get(path.name) if self.remote else None
        if self.remote is None:
            note = "whole; no official hash is known"
        elif official is None:
            note = "not packed, no official hash"
        elif md5 == official:
            note = "the official file"
        else:
            note = "whole, but not byte for byte the official file"
        return Checked(name, shown(path), shape, md5, note)

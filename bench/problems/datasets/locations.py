"""Where data files are looked for, and which place has those of a data set.

A root holds one folder a data set, ``ROOT/mnist``; a root that itself carries the data set's name
is taken as that folder, since MNIST and Fashion-MNIST have files of the same names. Folders as
other libraries lay them out, ``ROOT/MNIST/raw``, are looked into after that.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bench.errors import DataError

VARIABLE = "TELEPORT_DATA"
_CHECKOUT = Path(__file__).resolve().parents[3]
_DEBIAN = Path("/usr/share/datasets")

FilesT = TypeVar("FilesT")


@dataclass(frozen=True)
class Place:
    """A root to look in; ``root`` is None where this machine has none, and ``note`` says why."""

    label: str
    root: Path | None
    note: str = ""

    def folder(self, name: str) -> Path | None:
        """The folder of data set ``name`` here, whether it exists or not."""
        if self.root is None:
            return None
        parts = Path(name).parts
        if self.root.parts[-len(parts) :] == parts:
            return self.root
        return (self.root.parent if self.root.name == parts[0] else self.root) / name


@dataclass(frozen=True)
class FileSet(Generic[FilesT]):
    """How the files of a data set are found, counted and checked.

    ``check`` reads every file from end to end and gives the shape of its contents.
    """

    name: str
    folder: str  # below a root, by its official name
    example: str  # what the files are called, for messages
    advice: str  # how to get them, for messages
    find: Callable[[Path], FilesT | None]  # in a folder; None where there is none of them
    count: Callable[[FilesT], int | None]  # of samples, from sizes and headers alone
    check: Callable[[FilesT], list[tuple[Path, tuple[int, ...]]]]
    others: tuple[str, ...] = ()  # further folders below a root, as other libraries name them


@dataclass(frozen=True)
class Located(Generic[FilesT]):
    """A data set's files, and where they are."""

    place: Place
    folder: Path
    files: FilesT

    @property
    def where(self) -> str:
        """The folder for a report; for one beside a checkout not where the checkout is."""
        if self.place.label.startswith(".."):
            return f"{self.place.label}/{self.folder.name}"
        return shown(self.folder)


def places(data_dir: Path | None) -> list[Place]:
    """Every root, in the order of the search.

    Raises:
        DataError: ``data_dir`` is given and is not a folder.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise DataError(f"expected --data-dir to be a folder; there is none at {data_dir}")
    variable = os.environ.get(VARIABLE)
    shared = _CHECKOUT.parent / "shared" / "data"
    is_checkout = (_CHECKOUT / "pyproject.toml").is_file()
    return [
        Place("--data-dir", data_dir, "not given"),
        Place(f"${VARIABLE}", Path(variable) if variable else None, "not set"),
        user_cache(),
        Place("../shared/data", shared if is_checkout else None, "not a source checkout"),
        Place(str(_DEBIAN), _DEBIAN),
    ]


def user_cache() -> Place:
    """The user's cache folder, where ``data fetch`` puts what it downloads."""
    try:
        import pooch
    except ImportError as error:
        # Data sets elsewhere stay usable without it; the list of places names the lack.
        return Place("user cache", None, f"pooch, which knows where that is, is missing ({error})")
    return Place("user cache", Path(pooch.os_cache("teleport-bench")))


def find(wanted: FileSet[FilesT], data_dir: Path | None) -> Located[FilesT] | None:
    """The first place that holds files of a data set, or None.

    Raises:
        DataError: what the first place holds is incomplete.
    """
    for place in places(data_dir):
        for folder in map(place.folder, (wanted.folder, *wanted.others)):
            files = wanted.find(folder) if folder is not None else None
            if folder is not None and files is not None:
                return Located(place, folder, files)
    return None


def locate(wanted: FileSet[FilesT], data_dir: Path | None) -> Located[FilesT]:
    """The first place that holds files of a data set.

    Raises:
        DataError: none does (lists the places), or what is there is incomplete.
    """
    found = find(wanted, data_dir)
    if found:
        return found
    folders = [(place, place.folder(wanted.folder)) for place in places(data_dir)]
    looked = "\n".join(
        f"  {place.label}: {shown(folder) if folder else place.note}" for place, folder in folders
    )
    raise DataError(
        f"expected the files of data set {wanted.name!r}, {wanted.example}; "
        f"they are in none of\n{looked}\n{wanted.advice}"
    )


def shown(path: Path) -> str:
    """The path for a report, without the user's name."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def existing(folder: Path, *names: str) -> Path | None:
    """The first of ``names`` that is a file of a folder, or None.

    Plain, or in a folder of its own name as some archives unpack it, or packed (.gz).
    """
    for name in names:
        for path in (folder / name, folder / name / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None

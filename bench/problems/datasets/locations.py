"""Where data files are looked for, and which files of a data set are there.

A root holds one folder a data set, ``ROOT/mnist``; a root that itself carries the data set's name
is taken as that folder, since MNIST and Fashion-MNIST have files of the same names.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataError

VARIABLE = "TELEPORT_DATA"
PARTS = ("train", "t10k")
_CHECKOUT = Path(__file__).resolve().parents[3]
_DEBIAN = Path("/usr/share/datasets")


@dataclass(frozen=True)
class Place:
    """A root to look in; ``root`` is None where this machine has none, and ``note`` says why."""

    label: str
    root: Path | None
    note: str = ""

    def folder(self, name: str) -> Path | None:
        """The folder of data set ``name`` here, whether it exists or not."""
        if self.root is None or self.root.name == name:
            return self.root
        return self.root / name


@dataclass(frozen=True)
class Pair:
    """Images and labels of one part of a data set."""

    part: str
    images: Path
    labels: Path


@dataclass(frozen=True)
class Located:
    """A data set's files: at least one pair, the training part first."""

    place: Place
    folder: Path
    pairs: tuple[Pair, ...]


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


def find(name: str, data_dir: Path | None) -> Located | None:
    """The first place that holds files of data set ``name``, or None.

    Raises:
        DataError: the first that does has images without labels or labels without images.
    """
    for place in places(data_dir):
        folder = place.folder(name)
        if folder is None:
            continue
        pairs = tuple(pair for part in PARTS if (pair := _pair(name, folder, part)))
        if pairs:
            return Located(place, folder, pairs)
    return None


def locate(name: str, data_dir: Path | None) -> Located:
    """The first place that holds files of data set ``name``.

    Raises:
        DataError: none does (lists the places), or what is there is incomplete.
    """
    found = find(name, data_dir)
    if found:
        return found
    looked = "\n".join(f"  {_line(place, name)}" for place in places(data_dir))
    raise DataError(
        f"expected the files of data set {name!r}, {PARTS[0]}-images-idx3-ubyte.gz and the like; "
        f"they are in none of\n{looked}\ndownload them with: teleport-bench data fetch {name}"
    )


def shown(path: Path) -> str:
    """The path for a report, without the user's name."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _line(place: Place, name: str) -> str:
    folder = place.folder(name)
    return f"{place.label}: {place.note if folder is None else shown(folder)}"


def _pair(name: str, folder: Path, part: str) -> Pair | None:
    names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    images, labels = (_existing(folder, file) for file in names)
    if images and labels:
        return Pair(part, images, labels)
    if images or labels:
        missing = names[0] if labels else names[1]
        raise DataError(
            f"expected {missing}(.gz) beside {images or labels}; there is none: "
            f"teleport-bench data fetch {name}"
        )
    return None


def _existing(folder: Path, file: str) -> Path | None:
    for path in (folder / f"{file}.gz", folder / file):
        if path.is_file():
            return path
    return None

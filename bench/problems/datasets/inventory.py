"""Which data sets are on this machine, and whether their files are whole; torch-free for ours."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from bench.errors import DataError
from bench.problems.datasets.dataset import addresses, load_dataset, resolve_name
from bench.problems.datasets.fetch import FILE_SETS, REMOTES
from bench.problems.datasets.loaders import digits
from bench.problems.datasets.locations import find, locate, shown


@dataclass(frozen=True)
class Entry:
    """A data set's line in the list.

    Attributes:
        name: what ``load_dataset`` takes.
        state: whether it is here; "damaged" if what is here cannot be used.
        where: the folder, or what is wrong, or how to get it.
        samples: None where only loading would tell.
    """

    name: str
    state: Literal["yes", "no", "damaged"]
    where: str
    samples: int | None


@dataclass(frozen=True)
class Checked:
    """A file that was read from end to end; ``note`` compares its hash with the official one."""

    name: str
    what: str
    shape: tuple[int, ...]
    md5: str
    note: str


def inventory(data_dir: Path | None = None) -> list[Entry]:
    """Every data set, from its files' headers only; which a damaged file may survive.

    Raises:
        DataError: ``data_dir`` is not a folder, or two loaders have one name.
    """
    return [_entry(name, address, data_dir) for name, address in sorted(addresses().items())]


def present(data_dir: Path | None = None) -> list[str]:
    """Data sets that are here, damaged or not; of several made from the same files the first.

    Raises:
        DataError: as ``inventory``.
    """
    here = [entry.name for entry in inventory(data_dir) if entry.state != "no"]
    return [
        name
        for name in here
        if name not in FILE_SETS
        or FILE_SETS[name].folder not in here
        or FILE_SETS[name].folder == name
    ]


def check(name: str, data_dir: Path | None = None) -> list[Checked]:
    """Parse and hash everything a data set consists of.

    Raises:
        DataError: unknown, absent or damaged.
    """
    name = resolve_name(name)
    if name == "digits":
        return [_check_digits()]
    if name in FILE_SETS:
        wanted = FILE_SETS[name]
        checked = wanted.check(locate(wanted, data_dir).files)
        return [_checked(name, wanted.folder, path, shape) for path, shape in checked]
    loaded = load_dataset(name, data_dir)
    return [Checked(name, loaded.source, tuple(loaded.inputs.shape), "-", "loaded")]


def _entry(name: str, address: str, data_dir: Path | None) -> Entry:
    if name == "digits":
        if find_spec("sklearn") is None:
            return Entry(name, "no", "scikit-learn is not installed", None)
        return Entry(name, "yes", "with scikit-learn", digits.SAMPLES)
    if name not in FILE_SETS:
        return Entry(name, "yes", address, None)
    try:
        located = find(FILE_SETS[name], data_dir)
        if located is None:
            fetched = FILE_SETS[name].folder in REMOTES
            how = f"teleport-bench data fetch {name}" if fetched else FILE_SETS[name].advice
            return Entry(name, "no", how, None)
        samples = FILE_SETS[name].count(located.files)
    except DataError as error:
        return Entry(name, "damaged", str(error), None)
    return Entry(name, "yes", shown(located.folder), samples)


def _check_digits() -> Checked:
    pixels, _ = digits.read_arrays()
    md5 = hashlib.md5(pixels.tobytes(), usedforsecurity=False).hexdigest()
    return Checked("digits", "with scikit-learn", pixels.shape, md5, "pixels as float32")


def _checked(name: str, folder: str, path: Path, shape: tuple[int, ...]) -> Checked:
    if path.is_dir():
        return Checked(name, shown(path), shape, "-", "whole; no official hash of a folder")
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    known = REMOTES[folder].md5 if folder in REMOTES else {}
    official = known.get(path.name)
    if not known:
        note = "whole; no official hash is known"
    elif official is None:
        note = "not packed, no official hash"
    elif md5 == official:
        note = "the official file"
    else:
        note = "whole, but not byte for byte the official file"
    return Checked(name, shown(path), shape, md5, note)

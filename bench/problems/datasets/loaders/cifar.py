"""CIFAR-10 and CIFAR-100 from their binary versions.

A record is one label byte (CIFAR-100: the coarse label, then the fine one) and 3,072 pixel bytes:
1,024 red, 1,024 green, 1,024 blue, each row by row. Source: A. Krizhevsky, "Learning Multiple
Layers of Features from Tiny Images" (2009), https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.loaders.parts import dataset_of
from bench.problems.datasets.loaders.sources import MAX_BYTES, damaged, opened
from bench.problems.datasets.locations import FileSet, locate
from bench.problems.datasets.provider import FileProvider

_SHAPE = (3, 32, 32)
_PIXELS = 3072
Samples = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Kind:
    """One of the two data sets, with its official files."""

    name: str
    folder: str  # of the binary version
    python_folder: str  # of the Python version, which is pickled
    train: tuple[str, ...]
    test: str
    labels: tuple[int, ...]  # number of values of each label byte; the last is the target's

    @property
    def record(self) -> int:
        """Bytes of one sample."""
        return len(self.labels) + _PIXELS


KINDS = {
    "cifar-10": Kind(
        "cifar-10",
        "cifar-10-batches-bin",
        "cifar-10-batches-py",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test_batch.bin",
        (10,),
    ),
    "cifar-100": Kind(
        "cifar-100", "cifar-100-binary", "cifar-100-python", ("train.bin",), "test.bin", (20, 100)
    ),
}


@dataclass(frozen=True)
class Batches:
    """The files that are there: training files, and the test file."""

    kind: Kind
    train: tuple[Path, ...]
    test: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, the training files first."""
        return (*self.train, self.test) if self.test else self.train


def read_records(path: Path, kind: Kind) -> Samples:
    """Pixels ``[samples, 3, 32, 32]`` and labels ``[samples]`` of one file, bytes both.

    Raises:
        DataError: no whole number of records, a label out of range, or a file that is too large.
    """
    with opened(path) as source:
        _check_size(path, source.size, kind)
        contents = source.read(source.size + 1)
    if len(contents) != path.stat().st_size:
        raise damaged(path, "uncompressed records, as in the official archive", "a gzip file")
    records = np.frombuffer(contents, dtype=np.uint8).reshape(-1, kind.record)
    for byte, values in enumerate(kind.labels):
        wrong = np.flatnonzero(records[:, byte] >= values)
        if wrong.size:
            first = int(wrong[0])
            raise damaged(
                path,
                f"labels from 0 to {values - 1} at byte {byte} of each record",
                f"{records[first, byte]} at byte {first * kind.record + byte}",
            )
    pixels = records[:, len(kind.labels) :].reshape(-1, *_SHAPE)
    return pixels, records[:, len(kind.labels) - 1]


def _check_size(path: Path, size: int, kind: Kind) -> None:
    if size == 0 or size % kind.record or size > MAX_BYTES:
        raise damaged(
            path,
            f"records of {kind.record} bytes, {MAX_BYTES} bytes at most",
            f"{size} bytes, {size % kind.record} after the last whole record",
        )


def _load(kind: Kind, data_dir: Path | None) -> Dataset:
    """Training files and test file, or the ones that are there, 20 % held out where one lacks."""
    located = locate(_finder(kind), data_dir)
    batches = located.files
    both = bool(batches.train and batches.test)
    files = batches.train if both else batches.files
    whole = len(files) == len(kind.train)
    return dataset_of(
        kind.name,
        _joined([read_records(path, kind) for path in files]),
        read_records(batches.test, kind) if both and batches.test else None,
        outputs=kind.labels[-1],
        where=located.where,
        files=files,
        what=", ".join(path.name for path in files),
        note="" if whole else f" ({len(files)} of {len(kind.train)} files)",
    )


def _joined(parts: list[Samples]) -> Samples:
    return np.concatenate([p for p, _ in parts]), np.concatenate([y for _, y in parts])


def _finder(kind: Kind) -> FileSet[Batches]:
    def find(folder: Path) -> Batches | None:
        train = tuple(path for file in kind.train if (path := folder / file).is_file())
        test = folder / kind.test
        if train or test.is_file():
            return Batches(kind, train, test if test.is_file() else None)
        pickled = Path(kind.train[0]).stem
        if (folder / pickled).is_file() or (folder.parent / kind.python_folder / pickled).is_file():
            raise DataError(
                f"expected the binary version of {kind.name} in {folder}; found the Python "
                f"version, which is pickled and never read: {_advice(kind)}"
            )
        return None

    def count(batches: Batches) -> int:
        total = 0
        for path in batches.files:
            size = path.stat().st_size
            _check_size(path, size, kind)
            total += size // kind.record
        return total

    def check(batches: Batches) -> list[tuple[Path, tuple[int, ...]]]:
        return [(path, read_records(path, kind)[0].shape) for path in batches.files]

    example = f"{kind.train[0]} and {kind.test} of the binary version"
    return FileSet(kind.name, kind.folder, example, _advice(kind), find, count, check)


def _advice(kind: Kind) -> str:
    archive = f"https://www.cs.toronto.edu/~kriz/{kind.name}-binary.tar.gz"
    return f"download {archive} and unpack it: it holds the folder {kind.folder}"


CIFAR_10, CIFAR_100 = (FileProvider(partial(_load, kind), _finder(kind)) for kind in KINDS.values())

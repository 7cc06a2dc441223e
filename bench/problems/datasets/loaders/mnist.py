"""MNIST and Fashion-MNIST from their official IDX files.

Sources: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (1998);
H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST" (2017), arXiv:1708.07747.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.loaders.idx import read_header, read_idx
from bench.problems.datasets.loaders.parts import dataset_of
from bench.problems.datasets.loaders.sources import damaged
from bench.problems.datasets.locations import FileSet, existing, locate
from bench.problems.datasets.provider import FileProvider, Remote

SEQUENTIAL = "sequential-mnist"
CLASSES = 10
_SIDE = 28
_LABELS_START = 8

PARTS = ("train", "t10k")

Samples = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Pair:
    """Images and labels of one part of a data set."""

    part: str
    images: Path
    labels: Path


Pairs = tuple[Pair, ...]  # at least one, the training part first


def load_sequential_mnist(data_dir: Path | None = None) -> Dataset:
    """MNIST a pixel at a time: the paper's "sequence length of 28 x 28 and a data dimension 1"."""
    images = _load(MNIST_FILES, data_dir)
    return replace(
        images,
        name=SEQUENTIAL,
        inputs=images.inputs[:].reshape(len(images), -1, 1),
        heldout_inputs=images.heldout_inputs[:].reshape(len(images.heldout_targets), -1, 1),
    )


def read_pair(pair: Pair) -> Samples:
    """Images ``[samples, 28, 28]`` and labels ``[samples]`` of one part, bytes both.

    Raises:
        DataError: a damaged file, other shapes, counts that differ, or a label above 9.
    """
    images, labels = read_idx(pair.images), read_idx(pair.labels)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE):
        raise damaged(
            pair.images, f"images, [samples, {_SIDE}, {_SIDE}] of bytes, at byte 0", _kind(images)
        )
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise damaged(pair.labels, "labels, [samples] of bytes, at byte 0", _kind(labels))
    if len(images) != len(labels):
        raise damaged(
            pair.labels,
            f"as many labels at byte 4 as {pair.images.name} has images, {len(images)}",
            str(len(labels)),
        )
    wrong = np.flatnonzero(labels >= CLASSES)
    if wrong.size:
        first = int(wrong[0])
        raise damaged(
            pair.labels,
            f"labels from 0 to {CLASSES - 1}",
            f"{labels[first]} at byte {_LABELS_START + first}",
        )
    return images, labels


def _kind(array: NDArray[Any]) -> str:
    return f"{list(array.shape)} of {array.dtype}"


def _load(files: FileSet[Pairs], data_dir: Path | None) -> Dataset:
    """Training part and test part, or the one that is there, 20 % of it held out."""
    located = locate(files, data_dir)
    train, *test = ((images[:, None], labels) for images, labels in map(read_pair, located.files))
    return dataset_of(
        files.name,
        train,
        test[0] if test else None,
        outputs=CLASSES,
        where=located.where,
        files=(located.files[0].labels,),
        what=f"its {located.files[0].part} files",
    )


def _pairs(folder: Path) -> Pairs | None:
    return tuple(pair for part in PARTS if (pair := _pair(folder, part))) or None


def _pair(folder: Path, part: str) -> Pair | None:
    names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    # Some copies have a dot before "idx", as the official page once had it.
    images, labels = (existing(folder, name, name.replace("-idx", ".idx")) for name in names)
    if images and labels:
        return Pair(part, images, labels)
    if images or labels:
        missing = names[0] if labels else names[1]
        raise DataError(
            f"expected {missing}(.gz) beside {images or labels}; there is none: "
            f"teleport-bench data fetch {folder.name}"
        )
    return None


def _count(pairs: Pairs) -> int:
    return sum(read_header(pair.labels).shape[0] for pair in pairs)


def _check(pairs: Pairs) -> list[tuple[Path, tuple[int, ...]]]:
    files = []
    for pair in pairs:
        images, labels = read_pair(pair)
        files += [(pair.images, images.shape), (pair.labels, labels.shape)]
    return files


def _file_set(name: str, folder: str, torchvision: str) -> FileSet[Pairs]:
    example = f"{PARTS[0]}-images-idx3-ubyte.gz and the like"
    advice = f"download them with: teleport-bench data fetch {folder}"
    others = (f"{folder}/raw", f"{torchvision}/raw", torchvision)
    return FileSet(name, folder, example, advice, _pairs, _count, _check, others)


MNIST_FILES = _file_set("mnist", "mnist", "MNIST")
FASHION_FILES = _file_set("fashion-mnist", "fashion-mnist", "FashionMNIST")

# The MD5 sums are those that torchvision's loader publishes beside the files.
MNIST = FileProvider(
    partial(_load, MNIST_FILES),
    MNIST_FILES,
    Remote(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
)
SEQUENTIAL_MNIST = FileProvider(
    load_sequential_mnist, _file_set(SEQUENTIAL, "mnist", "MNIST"), MNIST.remote
)
# The MD5 sums are those of the data set's own README.
FASHION_MNIST = FileProvider(
    partial(_load, FASHION_FILES),
    FASHION_FILES,
    Remote(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
)

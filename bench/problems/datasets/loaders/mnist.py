"""MNIST and Fashion-MNIST from their official IDX files.

Sources: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (1998);
H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST" (2017), arXiv:1708.07747.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.problems.datasets.dataset import SPLIT_SEED, Dataset, split_indices
from bench.problems.datasets.loaders.idx import read_header, read_idx
from bench.problems.datasets.loaders.sources import damaged
from bench.problems.datasets.locations import FileSet, Located, existing, locate

if TYPE_CHECKING:
    from torch import Tensor

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


def load_mnist(data_dir: Path | None = None) -> Dataset:
    """MNIST; see ``_load``."""
    return _load("mnist", data_dir)


def load_fashion_mnist(data_dir: Path | None = None) -> Dataset:
    """Fashion-MNIST; see ``_load``."""
    return _load("fashion-mnist", data_dir)


def load_sequential_mnist(data_dir: Path | None = None) -> Dataset:
    """MNIST as sequences ``[784, 1]``, a pixel at a time.

    The null-space paper has "a sequence length of 28 x 28 and a data dimension 1".
    """
    images = _load("mnist", data_dir)
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


def _load(name: str, data_dir: Path | None) -> Dataset:
    """Training part and test part, or the one that is there, 20 % of it held out.

    Raises:
        DataError: the files are nowhere, or damaged.
    """
    located = locate(FILE_SETS[name], data_dir)
    train, heldout, how = _parts(located)
    inputs, targets = _tensors(train)
    heldout_inputs, heldout_targets = _tensors(heldout)
    return Dataset(
        name=name,
        inputs=inputs,
        targets=targets,
        heldout_inputs=heldout_inputs,
        heldout_targets=heldout_targets,
        outputs=CLASSES,
        source=f"{located.where}, {how}",
    )


def _parts(located: Located[Pairs]) -> tuple[Samples, Samples, str]:
    if len(located.files) == 2:
        train, heldout = (read_pair(pair) for pair in located.files)
        return train, heldout, f"{len(train[0])} training samples, {len(heldout[0])} test samples"
    (pair,) = located.files
    images, labels = read_pair(pair)
    try:
        ours, theirs = split_indices(len(labels))
    except DataError as error:
        raise DataError(f"{pair.labels}: {error}") from error
    how = (
        f"only its {pair.part} files: {len(ours)} samples for training, {len(theirs)} held out "
        f"(seed {SPLIT_SEED})"
    )
    return (images[ours], labels[ours]), (images[theirs], labels[theirs]), how


def _pairs(folder: Path) -> Pairs | None:
    return tuple(pair for part in PARTS if (pair := _pair(folder, part))) or None


def _pair(folder: Path, part: str) -> Pair | None:
    names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
    images, labels = (existing(folder, file) for file in names)
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


def _file_set(name: str, folder: str) -> FileSet[Pairs]:
    example = f"{PARTS[0]}-images-idx3-ubyte.gz and the like"
    advice = f"download them with: teleport-bench data fetch {folder}"
    return FileSet(name, folder, example, advice, _pairs, _count, _check)


FILE_SETS = {
    "fashion-mnist": _file_set("fashion-mnist", "fashion-mnist"),
    "mnist": _file_set("mnist", "mnist"),
    SEQUENTIAL: _file_set(SEQUENTIAL, "mnist"),
}


def _tensors(samples: Samples) -> tuple["Tensor", "Tensor"]:
    """Pixels ``[samples, 1, 28, 28]`` and targets ``[samples]``."""
    import torch

    images, labels = samples
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()

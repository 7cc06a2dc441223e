"""MNIST and Fashion-MNIST from their official IDX files.

Sources: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (1998);
H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST" (2017), arXiv:1708.07747.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.problems.datasets.dataset import SPLIT_SEED, Dataset, split_indices
from bench.problems.datasets.idx import damaged, read_idx
from bench.problems.datasets.locations import Located, Pair, locate, shown

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("fashion-mnist", "mnist")
CLASSES = 10
_SIDE = 28
_LABELS_START = 8

Samples = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def load_mnist(data_dir: Path | None = None) -> Dataset:
    """MNIST; see ``_load``."""
    return _load("mnist", data_dir)


def load_fashion_mnist(data_dir: Path | None = None) -> Dataset:
    """Fashion-MNIST; see ``_load``."""
    return _load("fashion-mnist", data_dir)


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
    located = locate(name, data_dir)
    train, heldout, how = _parts(located)
    inputs, targets = _tensors(train)
    heldout_inputs, heldout_targets = _tensors(heldout)
    return Dataset(
        name=name,
        inputs=inputs,
        targets=targets,
        heldout_inputs=heldout_inputs,
        heldout_targets=heldout_targets,
        classes=CLASSES,
        source=f"{_where(located)}, {how}",
    )


def _parts(located: Located) -> tuple[Samples, Samples, str]:
    if len(located.pairs) == 2:
        train, heldout = (read_pair(pair) for pair in located.pairs)
        return train, heldout, f"{len(train[0])} training samples, {len(heldout[0])} test samples"
    (pair,) = located.pairs
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


def _where(located: Located) -> str:
    """The folder; for the one beside a checkout not where the checkout is."""
    if located.place.label.startswith(".."):
        return f"{located.place.label}/{located.folder.name}"
    return shown(located.folder)


def _tensors(samples: Samples) -> tuple["Tensor", "Tensor"]:
    """Inputs ``[samples, 784]`` in [0, 1] and targets ``[samples]``."""
    import torch

    images, labels = samples
    pixels = torch.from_numpy(images.reshape(len(images), -1))
    return pixels.float().div_(255.0), torch.from_numpy(labels).long()

"""A data set of arrays in two official parts, or in the one that is there."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.split import SPLIT_SEED, split_indices

if TYPE_CHECKING:
    from torch import Tensor

Samples = tuple[NDArray[Any], NDArray[Any]]


def dataset_of(
    name: str,
    train: Samples,
    test: Samples | None,
    *,
    outputs: int,
    where: str,
    files: tuple[Path, ...],
    what: str,
    note: str = "",
) -> Dataset:
    """Images ``[samples, channels, height, width]`` of bytes, and their classes ``[samples]``.

    Where ``test`` is None there is only ``what``, and 20 % of ``train`` are held out. The folder
    ``where`` and a ``note`` on the training samples are for the report, ``files`` for messages.

    Raises:
        DataError: too few samples to split.
    """
    how = f"{len(train[1])} training samples{note}"
    if test is None:
        train, test = _split(train, files[0])
        how = (
            f"only {what}: {len(train[1])} samples for training, {len(test[1])} held out "
            f"(seed {SPLIT_SEED})"
        )
    else:
        how += f", {len(test[1])} test samples"
    return Dataset.from_parts(name, _tensors(train), _tensors(test), outputs, f"{where}, {how}")


def _split(samples: Samples, file: Path) -> tuple[Samples, Samples]:
    inputs, targets = samples
    try:
        ours, theirs = split_indices(len(targets))
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    return (inputs[ours], targets[ours]), (inputs[theirs], targets[theirs])


def _tensors(samples: Samples) -> "tuple[Tensor, Tensor]":
    import torch

    inputs, targets = samples
    return torch.from_numpy(np.require(inputs, requirements="W")), torch.tensor(targets).long()

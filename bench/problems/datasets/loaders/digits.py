"""The 1,797 handwritten digits that come with scikit-learn: real data on every machine.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository (1998), test part; 8 x 8 pixels with values from 0 to 16.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.provider import Checked, Entry, Provider
from bench.problems.datasets.split import SPLIT_SEED, split_indices

SAMPLES = 1797
CLASSES = 10
_LARGEST = 16.0
_SHAPE = (8, 8)


def read_arrays() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels ``[1797, 64]`` in [0, 1] and digits ``[1797]``.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            f"expected scikit-learn, which brings the data set 'digits'; {error}: "
            "pip install scikit-learn, or choose another with --dataset"
        ) from error
    pixels, digits = load_digits(return_X_y=True)
    return (pixels / _LARGEST).astype(np.float32), digits.astype(np.int64)


def load(data_dir: Path | None = None) -> Dataset:
    """Digits as a data set, 20 % of them held out; no folder is looked in, ``data_dir`` is ignored.

    Raises:
        DataError: scikit-learn is not installed.
    """
    import torch

    pixels, digits = read_arrays()
    images = torch.from_numpy(pixels).reshape(-1, 1, *_SHAPE)
    train, heldout = split_indices(len(digits))
    ours, theirs = ((images[part], torch.from_numpy(digits[part])) for part in (train, heldout))
    source = (
        f"scikit-learn's digits, {len(train)} for training, {len(heldout)} held out "
        f"(seed {SPLIT_SEED})"
    )
    return Dataset.from_parts("digits", ours, theirs, CLASSES, source)


class DigitsProvider(Provider):
    """Here wherever scikit-learn is."""

    def entry(self, name: str, data_dir: Path | None) -> Entry:
        """Whether scikit-learn is installed."""
        if find_spec("sklearn") is None:
            return Entry(name, "no", "scikit-learn is not installed", None)
        return Entry(name, "yes", "with scikit-learn", SAMPLES)

    def check(self, name: str, data_dir: Path | None) -> list[Checked]:
        """The hash of all pixels, which tells one scikit-learn from another."""
        pixels, _ = read_arrays()
        md5 = hashlib.md5(pixels.tobytes(), usedforsecurity=False).hexdigest()
        return [Checked(name, "with scikit-learn", pixels.shape, md5, "pixels as float32")]


DIGITS = DigitsProvider(load)

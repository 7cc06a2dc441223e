"""Which samples are held out where nobody has split a data set; the same on every machine."""

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

HELDOUT_SHARE = 0.2
SPLIT_SEED = 0


def split_indices(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split ``count`` samples into training and held-out indices, 20 % (at least one) of them.

    The samples are ranked by the raw output of a seeded PCG64: numpy promises that stream for
    all time, but not what ``Generator.permutation`` makes of it.

    Raises:
        DataError: fewer than two samples.
    """
    if count < 2:
        raise DataError(f"expected at least 2 samples to split; got {count}")
    order = np.argsort(np.random.PCG64(SPLIT_SEED).random_raw(count), kind="stable")
    heldout = max(1, int(count * HELDOUT_SHARE))
    return order[heldout:], order[:heldout]

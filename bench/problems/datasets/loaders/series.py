"""Multivariate time series: electricity, traffic and exchange_rate, forecast from a window.

A line is a point in time, its values separated by commas. Source: G. Lai et al., "Modeling Long-
and Short-Term Temporal Patterns with Deep Neural Networks" (2018), arXiv:1703.07015,
https://github.com/laiguokun/multivariate-time-series-data.

As in the null-space paper a sample is a window of 7 x 24 points, and its target is the point 24
steps after the window's end.
"""

from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.problems.datasets.dataset import Dataset
from bench.problems.datasets.loaders.sources import damaged, opened, read_text
from bench.problems.datasets.locations import FileSet, existing, locate
from bench.problems.datasets.provider import FileProvider, Remote
from bench.problems.datasets.split import HELDOUT_SHARE

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 7 * 24
AHEAD = 24
_REPOSITORY = "https://github.com/laiguokun/multivariate-time-series-data"


def read_series(path: Path) -> NDArray[np.float64]:
    """Values ``[points, series]`` of a comma-separated text, plain or gzip.

    Raises:
        DataError: a damaged file, an entry that is no finite number, lines of different lengths.
    """
    text = read_text(path)
    if not text.strip():
        raise damaged(path, "a line of numbers for each point in time", "nothing")
    try:
        values = np.loadtxt(StringIO(text), delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        reason = str(error).partition(";")[0].rstrip(".")
        raise damaged(path, "numbers separated by commas, as many in each line", reason) from error
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = (int(index) + 1 for index in wrong[0])
        found = f"{values[row - 1, column - 1]} in line {row}, column {column}"
        raise damaged(path, "finite numbers", found)
    return values


def _load(files: FileSet[Path], data_dir: Path | None) -> Dataset:
    """Windows of the first 80 % of the time for training, of the rest held out; none in both."""
    import torch

    located = locate(files, data_dir)
    values = read_series(located.files)
    points = len(values)
    heldout = int(points * HELDOUT_SHARE)
    if heldout < WINDOW + AHEAD:
        least = int(np.ceil((WINDOW + AHEAD) / HELDOUT_SHARE))
        raise damaged(located.files, f"at least {least} points in time", f"{points} lines")
    series = torch.from_numpy(standardised(values, points - heldout)).float()
    train, later = windows(series[: points - heldout]), windows(series[points - heldout :])
    source = (
        f"{located.where}, {values.shape[1]} series of {points} points, standardised on the first "
        f"{points - heldout}; {len(train[1])} windows of {WINDOW} for training, {len(later[1])} "
        "later ones held out"
    )
    return Dataset.from_parts(files.name, train, later, values.shape[1], source, "values")


def standardised(values: NDArray[np.float64], training: int) -> NDArray[np.float64]:
    """The series ``[points, series]`` in units of their first ``training`` points' deviation.

    Their mean there becomes 0; one that is constant there is only centred.
    """
    part = values[:training]
    deviation = part.std(axis=0)
    # The mean of equal numbers is off by rounding: compare with the size of the numbers.
    constant = deviation <= 1e-12 * np.abs(part).max(axis=0)
    scaled: NDArray[np.float64] = (values - part.mean(axis=0)) / np.where(constant, 1.0, deviation)
    return scaled


def windows(series: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Windows ``[samples, 168, series]``, views of it, and targets ``[samples, series]``."""
    count = len(series) - WINDOW - AHEAD + 1
    inputs = series.unfold(0, WINDOW, 1)[:count].transpose(1, 2)
    return inputs, series[WINDOW + AHEAD - 1 :]


def _file_set(name: str) -> FileSet[Path]:
    def find(folder: Path) -> Path | None:
        return existing(folder, f"{name}.txt")

    def count(path: Path) -> None:
        """Only reading the whole file would tell; a file that cannot begin to be is noticed."""
        with opened(path) as source:
            if b"," not in source.read(2**16):
                raise damaged(path, "numbers separated by commas", "a beginning without a comma")

    def check(path: Path) -> list[tuple[Path, tuple[int, ...]]]:
        return [(path, read_series(path).shape)]

    advice = f"download {name}/{name}.txt.gz of {_REPOSITORY} into a folder {name}"
    return FileSet(name, name, f"{name}.txt.gz", advice, find, count, check)


def _provider(name: str, remote: Remote | None = None) -> FileProvider:
    files = _file_set(name)
    return FileProvider(partial(_load, files), files, remote)


ELECTRICITY = _provider("electricity")  # hourly consumption of 321 clients
TRAFFIC = _provider("traffic")  # hourly road occupancy at 862 sensors
# Daily exchange rates of 8 countries. No hash is published: this is that of the file.
EXCHANGE_RATE = _provider(
    "exchange_rate",
    Remote(
        "https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/master/"
        "exchange_rate/",
        {"exchange_rate.txt.gz": "9dd5a9c8f8f324e234938400f232fa08"},
    ),
)

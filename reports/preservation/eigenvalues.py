"""What is read off a spectrum: the energy that the first eigenvectors of a layer's input hold."""

from itertools import accumulate
from math import fsum

from bench.storage.records import SpectrumRecord
from reports.run.run import as_float

# The layer that the paper shows, counted from 1 in the order of their first use.
SECOND_LAYER = 2


def height(record: SpectrumRecord) -> int:
    """Dimensions of the layer's input."""
    return record.rows or len(record.eigenvalues)


def eigenvectors(record: SpectrumRecord) -> int:
    """How many the SVD returns: min(rows, columns), at least 1."""
    return min(height(record), record.columns or height(record)) or 1


def cumulative_shares(record: SpectrumRecord) -> list[float]:
    """Sum of the first k eigenvalues over the sum of all, for k = 1, 2, ...; Eq. 3's left side."""
    eigenvalues = [as_float(value) for value in record.eigenvalues]
    total = fsum(eigenvalues)
    if not total > 0:
        return [float("nan")] * len(eigenvalues)
    return [min(1.0, part / total) for part in accumulate(eigenvalues)]


def eigenvectors_for(record: SpectrumRecord, share: float) -> int | None:
    """The smallest k whose first k eigenvalues hold ``share`` of the energy."""
    return next((k for k, held in enumerate(cumulative_shares(record), 1) if held >= share), None)

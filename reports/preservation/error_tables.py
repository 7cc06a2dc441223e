"""The tables of what teleportation keeps and moves: loss, gradient, spectrum of the inputs."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import fsum

import pandas as pd

from reports.run.run import Record, number
from reports.tables.runtime import frame

PRESERVATION_COLUMNS = (
    *("method", "variant", "model", "dataset", "tau", "step", "loss", "drift_float32"),
    *("drift_float64", "heldout_drift", "grad_norm_sq", "preactivation_bound"),
    # Ours, beyond the contract.
    *(
        "preactivation_change",
        "loss_float64",
        "heldout_loss",
        "start",
        "dtype",
        "t",
        "d",
        "n",
        "l",
        "lr",
    ),
    *("status", "reason", "guarantee"),
)
SPECTRUM_COLUMNS = (
    *("model", "dataset", "layer", "index", "share_of_eigenvectors", "cumulative_energy"),
    # Ours, beyond the contract.
    *("share_of_input_space", "eigenvalue", "position", "rows", "columns"),
)


def preservation(records: Iterable[Record]) -> pd.DataFrame:
    """A row per variant, tau, start and step, ``PRESERVATION_COLUMNS``; drifts are relative."""
    rows = [
        {**record, **row, "reason": record.get("reason") or ""}
        for record in sorted(records, key=curve_order)
        for row in record["rows"]
    ]
    return frame(rows, PRESERVATION_COLUMNS)


def curve_order(record: Record) -> tuple[str, str, str, str, float]:
    """Place of a preservation record: model, data, start, variant, then tau from 1 downwards."""
    names = (record["model"], record["dataset"], str(record.get("start") or ""), record["variant"])
    return (*names, -number(record.get("tau")) if record.get("tau") is not None else 0.0)


def spectrum(records: Iterable[Record]) -> pd.DataFrame:
    """A row per eigenvalue, ``SPECTRUM_COLUMNS``; all shares are between 0 and 1.

    ``share_of_eigenvectors`` counts the eigenvectors the SVD returns, min(rows, columns) of them;
    ``share_of_input_space`` counts against all ``rows`` dimensions of the layer's input, so that a
    batch with fewer columns than that ends below 1 by construction.
    """
    rows = [row for record in records for row in _spectrum_rows(record)]
    return frame(rows, SPECTRUM_COLUMNS)


def _spectrum_rows(record: Record) -> list[Record]:
    eigenvalues = [number(value) for value in record["eigenvalues"]]
    height = record.get("rows") or len(eigenvalues)
    kept = min(height, record.get("columns") or height) or 1
    return [
        {
            **record,
            "index": index,
            "eigenvalue": eigenvalue,
            "share_of_eigenvectors": index / kept,
            "cumulative_energy": energy,
            "share_of_input_space": index / height,
        }
        for index, (eigenvalue, energy) in enumerate(
            zip(eigenvalues, cumulative_shares(eigenvalues), strict=True), 1
        )
    ]


def cumulative_shares(eigenvalues: Sequence[float]) -> list[float]:
    """Sum of the first k eigenvalues over the sum of all, for k = 1, 2, ...; Eq. 3's left side."""
    total = fsum(eigenvalues)
    if not total > 0:
        return [float("nan")] * len(eigenvalues)
    return [min(1.0, part / total) for part in accumulate(eigenvalues)]


def eigenvectors_for(record: Record, share: float) -> int | None:
    """The smallest k whose first k eigenvalues hold ``share`` of the energy."""
    shares = cumulative_shares([number(value) for value in record["eigenvalues"]])
    return next((k for k, held in enumerate(shares, 1) if held >= share), None)

"""The tables of what teleportation keeps and moves: loss, gradient, spectrum of the inputs."""

from collections.abc import Iterable, Iterator, Sequence

from bench.storage.records import PreservationRecord, SpectrumRecord
from reports.preservation.curves import curve_order
from reports.preservation.eigenvalues import cumulative_shares, eigenvectors, height
from reports.run.run import as_float
from reports.tables.columns import Row, row_of


class PreservationRow(Row, frozen=True):
    """A step of a curve in ``preservation.csv``; drifts are relative."""

    method: str
    variant: str
    model: str
    dataset: str
    tau: float | None
    step: int
    loss: float | None
    drift_float32: float | None
    drift_float64: float | None
    heldout_drift: float | None
    grad_norm_sq: float | None
    preactivation_bound: float | None
    # Ours, beyond the contract.
    preactivation_change: float | None
    loss_float64: float | None
    heldout_loss: float | None
    start: str
    dtype: str
    t: int | None
    d: int | None
    n: int | None
    l: int | None  # noqa: E741  (the letter of the papers)
    lr: float | None
    status: str
    reason: str
    guarantee: str


class SpectrumRow(Row, frozen=True):
    """An eigenvalue of a layer's input in ``spectrum.csv``; all shares are between 0 and 1.

    ``share_of_eigenvectors`` counts the eigenvectors the SVD returns, min(rows, columns) of them;
    ``share_of_input_space`` counts against all ``rows`` dimensions of the layer's input, so that a
    batch with fewer columns than that ends below 1 by construction.
    """

    model: str
    dataset: str
    layer: str
    index: int
    share_of_eigenvectors: float
    cumulative_energy: float
    # Ours, beyond the contract.
    share_of_input_space: float
    eigenvalue: float
    position: int | None
    rows: int | None
    columns: int | None


def preservation_rows(records: Sequence[PreservationRecord]) -> list[PreservationRow]:
    """A row per variant, tau, start and step."""
    return [
        row_of(PreservationRow, point, record, guarantee=record.guarantee or "")
        for record in sorted(records, key=curve_order)
        for point in record.rows
    ]


_OF_LAYER = ("model", "dataset", "layer", "position", "rows", "columns")


def spectrum_rows(records: Iterable[SpectrumRecord]) -> Iterator[SpectrumRow]:
    """A row per eigenvalue."""
    for record in records:
        energies = cumulative_shares(record)
        of_layer = {name: getattr(record, name) for name in _OF_LAYER}  # once: rows are very many
        for index, (eigenvalue, energy) in enumerate(
            zip(record.eigenvalues, energies, strict=True), 1
        ):
            yield SpectrumRow(
                **of_layer,
                index=index,
                share_of_eigenvectors=index / eigenvectors(record),
                cumulative_energy=energy,
                share_of_input_space=index / height(record),
                eigenvalue=as_float(eigenvalue),
            )

"""The tables of a probe: an arm after a horizon, a verdict, and every loss that was seen."""

from collections.abc import Sequence

from bench.storage.probe_records import ProbeRecord
from reports.probe.comparison import Comparison
from reports.probe.verdict import Verdict
from reports.tables.columns import Row, row_of


class Placed(Row, frozen=True):
    """A row that says where it was measured."""

    model: str
    dataset: str
    device: str
    dtype: str
    optimizer: str


class ProbeRow(Placed, frozen=True):
    """An arm after the steps of a horizon in ``probe.csv``; losses are medians over the seeds."""

    epochs: int
    variant: str
    horizon: int
    seeds: int
    lr: float
    lr_plain: float
    at_edge: int
    loss_start: float
    decrease: float
    decrease_plain: float
    ratio: float
    ci_low: float
    ci_high: float
    p_above: float
    p_below: float
    gain_ratio: float
    gain_ci_low: float
    gain_ci_high: float
    move_change: float
    cost_steps: float


class VerdictRow(Placed, frozen=True):
    """An optimizer in ``probe_verdicts.csv``."""

    verdict: str
    sentence: str


class LossRow(Placed, frozen=True):
    """A mean loss of all batches in ``probe_losses.csv``; empty where it was not finite."""

    epochs: int
    variant: str
    seed: int
    status: str
    reason: str
    lr: float | None
    horizon: int | None
    loss: float | None


def probe_row(found: Comparison) -> ProbeRow:
    """The row of a comparison."""
    return row_of(
        ProbeRow,
        found,
        found.place,
        found.place.setting,
        ratio=found.ratio.value,
        ci_low=found.ratio.low,
        ci_high=found.ratio.high,
        gain_ratio=found.gain.value,
        gain_ci_low=found.gain.low,
        gain_ci_high=found.gain.high,
    )


def verdict_row(found: Verdict) -> VerdictRow:
    """The row of a verdict."""
    return row_of(VerdictRow, found, found.setting)


def loss_rows(records: Sequence[ProbeRecord]) -> list[LossRow]:
    """Every loss; of an arm that failed one row that says why."""
    rows: list[LossRow] = []
    for record in records:
        for trained in record.sweep:
            rows += [
                row_of(LossRow, record, lr=trained.lr, horizon=horizon, loss=loss)
                for horizon, loss in zip(record.horizons, trained.losses, strict=True)
            ]
        if not record.sweep:
            rows.append(row_of(LossRow, record, lr=None, horizon=None, loss=None))
    return rows

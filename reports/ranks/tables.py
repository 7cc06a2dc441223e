"""A row a number of ranks and way: times, efficiency, operations and what goes over the wire."""

from collections.abc import Sequence

from bench.statistics.medians import Estimate, median_interval, paired_ratio
from bench.storage.kinds.ranks_records import RanksRecord
from reports.tables.columns import Row, row_of


class RanksRow(Row, frozen=True):
    """A variant on so many ranks in ``ranks.csv``; times are medians of the slowest rank.

    ``efficiency`` is what a single rank took over what the ranks took, paired by round: in weak
    scaling as it is, in strong scaling divided by the ranks.
    """

    model: str
    dataset: str
    device: str
    dtype: str
    method: str
    variant: str
    scaling: str
    way: str
    ranks: int
    t: int | None
    d: int | None
    n: int | None
    l: int | None  # noqa: E741  (the letter of the papers)
    samples: int | None
    threads: int | None
    backend: str
    calls: int
    call_s: float
    call_s_low: float
    call_s_high: float
    prepare_s: float
    step_s: float
    efficiency: float
    efficiency_low: float
    efficiency_high: float
    operations: int | None
    wire_floats: int | None
    wire_bytes: int | None
    wire_floats_step: int | None
    wire_bytes_step: int | None
    flags: str
    refusal: str
    status: str
    reason: str


def ranks_rows(records: Sequence[RanksRecord]) -> list[RanksRow]:
    """One each, by variant and scaling, in ascending numbers of ranks."""
    ordered = sorted(records, key=lambda one: (one.variant, one.scaling, one.ranks, one.way))
    alone = {_family(one): one for one in ordered if one.ranks == 1}
    return [_row(one, alone.get(_family(one))) for one in ordered]


def _family(record: RanksRecord) -> tuple[object, ...]:
    """What the records have in common whose times are held against one another."""
    names = ("model", "dataset", "device", "dtype", "variant", "scaling", "t", "d", "n", "l")
    return (*(getattr(record, name) for name in names), record.unit)


def _row(record: RanksRecord, alone: RanksRecord | None) -> RanksRow:
    call = median_interval([each.seconds for each in record.calls])
    steps = record.t or 1
    return row_of(
        RanksRow,
        record,
        calls=len(record.calls),
        **_bounds("call_s", call),
        prepare_s=median_interval([each.prepare_s for each in record.calls]).value,
        step_s=median_interval([each.steps_s / steps for each in record.calls]).value,
        **_bounds("efficiency", _efficiency(record, alone)),
        flags=";".join(record.flags),
    )


def _efficiency(record: RanksRecord, alone: RanksRecord | None) -> Estimate:
    """Of the rounds that both have."""
    single = {} if alone is None else {each.round: each.seconds for each in alone.calls}
    pairs = [(single[c.round], c.seconds) for c in record.calls if c.round in single and c.seconds]
    share = record.ranks if record.scaling == "strong" else 1
    return paired_ratio([one for one, _ in pairs], [share * many for _, many in pairs])


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}

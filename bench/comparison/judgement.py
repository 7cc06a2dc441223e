"""From records to verdicts and an exit code.

Wall time decides: it is what a user waits for. Where the interval of the wall time is too wide to
tell, a second clock that other processes disturb less may decide in its place (processor time of
one thread on the CPU, events on CUDA), if what it says lies inside that interval: time spent
waiting, which such a clock does not see, keeps the wall interval away from it.

Looks and clocks are paid for: the interval is taken at 1 - 5 %/looks and the chance of a false
alarm is shared among looks and clocks.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.comparison.verdicts import (
    FALSE_ALARMS,
    MIN_EFFECT,
    CellComparison,
    Side,
    Verdict,
    compare_cells,
)
from bench.statistics.medians import LEVEL
from bench.storage.records import CellRecord, Record, cells_of

FINE, REGRESSION, NOT_COMPARABLE, INCOMPLETE, AMBIGUOUS = 0, 1, 3, 4, 5

WALL = "wall"
_SECOND_CLOCKS = ("processor", "cuda_event")
_LETTERS = ("t", "d", "n", "l", "b")
_SETTING = ("model", "dataset", "device", "dtype")
_CLEAR = (Verdict.SAME, Verdict.FASTER, Verdict.SLOWER)
_LOST = (Verdict.BROKEN, Verdict.MISSING)

Sides = dict[str, Side]
# clock -> cell -> side
Measured = dict[str, Sides]


@dataclass(frozen=True)
class Judgement:
    """A cell's comparison and the clock it rests on."""

    comparison: CellComparison
    clock: str

    @property
    def verdict(self) -> Verdict:
        """The verdict on the cell."""
        return self.comparison.verdict


def measured(records: Iterable[Record], environment: str, benchmark: str) -> Measured:
    """The cells of a journal as sides, for every clock; of a cell the newest record counts.

    ``environment`` and ``benchmark`` are the keys of the machine and of the measuring code.
    """
    cells = {record.cell_id: record for record in cells_of(records)}
    labels = labels_of(cells)
    clocks = {clock for record in cells.values() for clock in _clocks(record)} | {WALL}
    return {
        clock: {
            cell: _side(record, clock, labels[cell], environment, benchmark)
            for cell, record in cells.items()
        }
        for clock in sorted(clocks)
    }


def _clocks(record: CellRecord) -> set[str]:
    return {sample.clock for sample in record.samples}


def _side(record: CellRecord, clock: str, label: str, environment: str, benchmark: str) -> Side:
    samples = [sample for sample in record.samples if sample.clock == clock]
    return Side(
        label=label,
        seconds=[math.nan if sample.seconds is None else sample.seconds for sample in samples],
        rounds=[sample.round or 0 for sample in samples],
        session=record.session or "",
        status=record.status,
        reason=record.reason,
        environment=environment,
        benchmark=benchmark,
    )


def labels_of(cells: Mapping[str, CellRecord]) -> dict[str, str]:
    """What to call each cell: its variant, and what differs between the cells."""
    varied = [
        name
        for name in (*_LETTERS, *_SETTING)
        if len({getattr(record, name) for record in cells.values()}) > 1
    ]
    return {
        cell: " ".join([record.variant, *(f"{name}={getattr(record, name)}" for name in varied)])
        for cell, record in cells.items()
    }


def judge(
    base: Measured,
    head: Measured,
    *,
    min_effects: Mapping[str, float] | None = None,
    default: float = MIN_EFFECT,
    looks: int = 1,
) -> list[Judgement]:
    """A judgement on every cell that base or head, as ``measured``, has.

    ``min_effects`` has the smallest relative differences that matter, ``default`` that of cells it
    does not name. The data were looked at ``looks`` times before the measurement stopped.
    """
    second = next((c for c in _SECOND_CLOCKS if c in base and c in head), None)
    known = min_effects or {}
    cells = {**base.get(WALL, {}), **head.get(WALL, {})}
    effects = {cell: known.get(cell, default) for cell in cells}
    found: dict[str, dict[str, CellComparison]] = {}
    clocks = [WALL, second] if second else [WALL]
    for clock in clocks:
        compared = compare_cells(
            base.get(clock, {}),
            head.get(clock, {}),
            min_effects=effects,
            level=1 - (1 - LEVEL) / looks,
            false_alarms=FALSE_ALARMS / looks / len(clocks),
        )
        found[clock] = {comparison.cell_id: comparison for comparison in compared}
    return [
        _decide(wall, found[second].get(wall.cell_id) if second else None, second or WALL)
        for wall in found[WALL].values()
    ]


def _decide(wall: CellComparison, other: CellComparison | None, clock: str) -> Judgement:
    """Wall time where it can tell, else the other clock where it fits."""
    if wall.verdict is not Verdict.AMBIGUOUS or other is None or other.verdict not in _CLEAR:
        return Judgement(wall, WALL)
    fits = wall.ratio.low <= other.ratio.value <= wall.ratio.high
    return Judgement(other, clock) if fits else Judgement(wall, WALL)


def exit_code(verdicts: Iterable[Verdict], *, strict: bool) -> int:
    """The contract's exit code, the gravest first: 1, 3, 4, 5, 0.

    A comparison without a cell is none: 3. ``strict``: ambiguous cells count.
    """
    found = set(verdicts)
    if Verdict.SLOWER in found:
        return REGRESSION
    if Verdict.NOT_COMPARABLE in found or not found:
        return NOT_COMPARABLE
    if found & set(_LOST):
        return INCOMPLETE
    return AMBIGUOUS if strict and Verdict.AMBIGUOUS in found else FINE


def headline(judgements: Sequence[Judgement]) -> str:
    """One sentence over all cells, the worst verdicts first."""
    counts = Counter(judgement.verdict for judgement in judgements)
    order = [verdict for verdict in WORST_FIRST if counts[verdict]]
    words = ", ".join(f"{counts[v]} {v.name.lower().replace('_', ' ')}" for v in order)
    return f"{len(judgements)} cells: {words}" if words else "no cells"


WORST_FIRST = (
    *(Verdict.SLOWER, Verdict.BROKEN, Verdict.MISSING, Verdict.NOT_COMPARABLE),
    *(Verdict.AMBIGUOUS, Verdict.FASTER, Verdict.NEW, Verdict.SAME),
)


def worst_first(judgements: Iterable[Judgement]) -> list[Judgement]:
    """By verdict, and within one verdict the slowest head first."""

    def key(judgement: Judgement) -> tuple[int, float, str]:
        ratio = judgement.comparison.ratio.value
        order = -ratio if ratio == ratio else 0.0  # noqa: PLR0124  (NaN: nothing was compared)
        return WORST_FIRST.index(judgement.verdict), order, judgement.comparison.label

    return sorted(judgements, key=key)

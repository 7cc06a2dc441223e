"""What whole calls of ``teleport`` took, in seconds and in the SGD steps timed beside them.

A call is one batch, with every default but its steps, and its checks included.
"""

from math import isfinite

from bench.statistics.medians import Estimate, median_interval, paired_ratio
from bench.storage.records import CellRecord, WholeCall


def calls_of(cell: CellRecord) -> list[WholeCall]:
    """The pairs of a cell that have both times; of one that is not ok none."""
    return [call for call in cell.calls if _known(call)] if cell.status == "ok" else []


def call_seconds(cell: CellRecord) -> Estimate:
    """Seconds of a call; NaN where none is known, and no interval from fewer than six."""
    return median_interval([call.seconds for call in calls_of(cell)])


def call_steps(cell: CellRecord, more_s: float = 0.0) -> Estimate:
    """A call, longer by ``more_s``, over the SGD step beside it."""
    calls = calls_of(cell)
    return paired_ratio([call.seconds + more_s for call in calls], [call.sgd_s for call in calls])


def _known(call: WholeCall) -> bool:
    return all(isfinite(seconds) and seconds > 0 for seconds in (call.seconds, call.sgd_s))

"""One cell as one of two sides measured it, and what of two sides can be compared."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.statistics.rank_tests import Array


@dataclass(frozen=True)
class Side:
    """A cell as base or head measured it; two whose keys differ are not compared.

    ``rounds`` has the round of each sample, needed for pairs; one may hold several (ABBA: two of
    each side). ``session`` names the measurement in which base and head took turns: sides of a cell
    with the same one that is not empty are compared in pairs, all others as independent.
    """

    label: str  # of the cell in a table, for example "nullspace d=512"
    seconds: Sequence[float]  # of one clock, all cold or all hot, never mixed
    rounds: Sequence[int] = ()
    session: str = ""
    status: str = "ok"  # or why there is no time: oom, timeout, crashed, invalid, ...
    reason: str = ""  # the worker's words on a status that is not ok
    environment: str = ""  # key of the machine and its software
    benchmark: str = ""  # key of what measures and is asked to be measured, not of what is measured

    def __post_init__(self) -> None:
        """Refuse rounds that do not belong to the samples."""
        if self.session and len(self.rounds) != len(self.seconds):
            raise ValueError(
                f"expected the round of each of the {len(self.seconds)} samples of {self.label}; "
                f"got {len(self.rounds)} rounds: give one a sample, or no session"
            )


def fault(side: Side) -> str:
    """Why a side has no usable time; empty if it has."""
    if side.status != "ok":
        return f"{side.status} ({side.reason})" if side.reason else side.status
    if not len(side.seconds):
        return "no samples"
    wrong = [s for s in side.seconds if not (math.isfinite(s) and s >= 0)]
    if wrong:
        return f"{len(wrong)} of {len(side.seconds)} samples are no times, one is {wrong[0]!r}"
    return ""


def are_paired(base: Side, head: Side) -> bool:
    """Whether both sides took turns in one measurement."""
    return bool(base.session) and base.session == head.session


def common_rounds(base: Side, head: Side) -> list[int]:
    """Rounds with equally many samples of both sides: in others a drift would not cancel."""
    ours, theirs = Counter(base.rounds), Counter(head.rounds)
    return sorted(number for number in ours if ours[number] == theirs[number])


def logs(base: Side, head: Side) -> tuple[Array, ...]:
    """The logarithms to test: the rounds' differences (one array), or both sides' samples (two).

    Both sides must be free of faults, of zeros and, if paired, have rounds in common.
    """
    logs = tuple(np.log(np.asarray(side.seconds, dtype=float)) for side in (base, head))
    if not are_paired(base, head):
        return logs
    common = common_rounds(base, head)
    ours, theirs = (
        _round_means(np.asarray(side.rounds), log, common)
        for side, log in zip((base, head), logs, strict=True)
    )
    return (theirs - ours,)


def _round_means(rounds: NDArray[np.int64], log: Array, common: list[int]) -> Array:
    position = np.searchsorted(common, rounds)
    position = np.minimum(position, len(common) - 1)
    kept = np.asarray(common)[position] == rounds
    sums = np.bincount(position[kept], weights=log[kept], minlength=len(common))
    return sums / np.bincount(position[kept], minlength=len(common))

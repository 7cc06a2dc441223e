"""The noise of this machine, measured: the same code on both sides, several times over.

Every repeat is a gate of the working tree against itself in new processes. A cell's minimum effect
is three standard deviations of its ratios between repeats, plus half the width that its interval
usually has: identical code then stays within it, and so does its interval. The deviations of few
repeats are themselves noise, so each is drawn towards that of all cells together.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any, Self

from bench.comparison.judgement import Judgement
from bench.comparison.verdicts import Verdict
from bench.errors import NotComparableError, RunError, SpecError
from bench.files import write_whole

SCHEMA = 1
KIND = "calibration"

DEVIATIONS = 3.0  # identical code is beyond them once in 370 times, if its ratios are normal
LEAST = 0.02  # ours: smaller effects come and go with the placement of code in memory
# A time that long covers the clock's own step a thousand times.
STEPS_PER_TIME = 1000
# No ratio reaches this: such a cell is shown and never decides anything.
NEVER = 1e9

_PRIOR_REPEATS = 4  # what all cells together weigh beside a cell's own repeats


@dataclass(frozen=True)
class CellNoise:
    """What was found about a cell."""

    label: str
    deviation: float  # standard deviation of the logarithm of its ratio between repeats
    half_width: float  # median half width of the interval of that logarithm
    seconds: float  # median time of a call
    min_effect: float  # ``NEVER`` for a cell that is too short for the clock
    repeats: int


@dataclass(frozen=True)
class Calibration:
    """The noise of all cells on one machine."""

    environment: str
    benchmark: str
    clock_step: float
    cells: Mapping[str, CellNoise]

    def for_machine(self, environment: str, benchmark: str, path: Path) -> dict[str, float]:
        """Cell -> minimum effect.

        Raises:
            NotComparableError: it was made on another machine or by other measuring code.
        """
        for name, ours, theirs in (
            ("machine", self.environment, environment),
            ("measuring code", self.benchmark, benchmark),
        ):
            if ours != theirs:
                raise NotComparableError(
                    f"expected a calibration of this {name} ({theirs or 'unknown'}); {path} is of "
                    f"{ours}: run 'teleport-bench calibrate' again"
                )
        return {cell: noise.min_effect for cell, noise in self.cells.items()}

    def dumps(self) -> str:
        """The text of the file."""
        document = {"schema": SCHEMA, "kind": KIND, **asdict(self)}
        return json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def loads(cls, text: str, name: str) -> Self:
        """Read what ``dumps`` wrote.

        Raises:
            SpecError: no calibration, or one of a schema we do not know.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            known = document["kind"] == KIND and document["schema"] == SCHEMA
            cells = {cell: CellNoise(**noise) for cell, noise in document["cells"].items()}
            facts = {key: document[key] for key in ("environment", "benchmark", "clock_step")}
        except (ValueError, KeyError, TypeError, AttributeError):
            known = False
        if not known:
            raise SpecError(
                f"expected a calibration of schema {SCHEMA} in {name}; it is none: make one with "
                "'teleport-bench calibrate'"
            )
        return cls(**facts, cells=cells)


def save(calibration: Calibration, path: Path) -> None:
    """Write the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, calibration.dumps())


def load(path: Path) -> Calibration:
    """Read a file; see ``Calibration.loads``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(
            f"expected a calibration at {path}; {error.strerror}: make one with "
            "'teleport-bench calibrate'"
        ) from None
    return Calibration.loads(text, path.name)


def calibrate(
    repeats: Sequence[Sequence[Judgement]], environment: str, benchmark: str, clock_step: float
) -> Calibration:
    """Minimum effects from the judgements of gates of the same code against itself.

    ``clock_step`` is the smallest difference the clock can show, in seconds.

    Raises:
        RunError: a cell that had no time in some repeat.
    """
    found: dict[str, list[Judgement]] = {}
    for judgements in repeats:
        for judgement in judgements:
            if not math.isfinite(judgement.comparison.ratio.low):
                raise RunError(
                    f"expected a time of {judgement.comparison.label} in every repeat; "
                    f"{_why(judgement)}: leave it out, or mend it"
                )
            found.setdefault(judgement.comparison.cell_id, []).append(judgement)
    logs = {cell: [math.log(j.comparison.ratio.value) for j in js] for cell, js in found.items()}
    own = {cell: mean_square(of_cell) for cell, of_cell in logs.items()}
    shared = fmean(own.values()) if own else 0.0
    cells = {
        cell: _noise(of_cell, moderated(own[cell], len(of_cell), shared), clock_step)
        for cell, of_cell in found.items()
    }
    return Calibration(environment, benchmark, clock_step, cells)


def _why(judgement: Judgement) -> str:
    words = judgement.verdict.name if judgement.verdict is not Verdict.SAME else "too few samples"
    return f"got {words} ({judgement.comparison.reason})"


def mean_square(logs: Sequence[float]) -> float:
    """The variance of logarithms whose mean is known to be 0."""
    return fmean(log * log for log in logs)


def moderated(variance: float, repeats: int, shared: float) -> float:
    """A cell's variance drawn towards that of all cells, the less the more repeats there are.

    As in Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004), with a fixed weight of the prior.
    """
    return (_PRIOR_REPEATS * shared + repeats * variance) / (_PRIOR_REPEATS + repeats)


def min_effect(deviation: float, half_width: float) -> float:
    """The smallest relative difference that noise of this size does not pretend."""
    return max(LEAST, math.expm1(DEVIATIONS * deviation + half_width))


def _noise(judgements: Sequence[Judgement], variance: float, clock_step: float) -> CellNoise:
    ratios = [judgement.comparison.ratio for judgement in judgements]
    half = median((math.log(r.high) - math.log(r.low)) / 2 for r in ratios)
    seconds = median(judgement.comparison.base_median for judgement in judgements)
    deviation = math.sqrt(variance)
    too_short = seconds < STEPS_PER_TIME * clock_step
    return CellNoise(
        label=judgements[-1].comparison.label,
        deviation=deviation,
        half_width=half,
        seconds=seconds,
        min_effect=NEVER if too_short else min_effect(deviation, half),
        repeats=len(judgements),
    )


def clock_step(readings: Sequence[float]) -> float:
    """The smallest step of a clock that was read again and again; infinite if it never moved."""
    return min((b - a for a, b in pairwise(readings) if b > a), default=math.inf)

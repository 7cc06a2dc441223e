"""Whether a run can be trusted: what failed, what was flagged, how wide the intervals are."""

import math
from collections.abc import Sequence
from statistics import median

from reports.front.tile import CARE, GOOD, HEALTH, Tile
from reports.run.run import Run
from reports.tables.runtime import CellRow
from reports.text.formatting import number, whole
from reports.training.controls import aa_difference
from reports.training.experiment import Experiment

WIDE = 0.2  # relative half width of an interval from which on its number is a rough one


def health_tile(
    rows: Sequence[CellRow], run: Run, experiment: Experiment | None, notes: Sequence[str]
) -> Tile:
    """Counts, and a verdict: SOUND takes that nothing failed, was flagged or is missing."""
    faults = [
        *_faults(rows, run),
        *(_of_training(experiment) if experiment else []),
        *_count(notes),
    ]
    widths = _half_widths(rows)
    between = ""
    if widths:
        between = (
            f"intervals of times: \u00b1{number(100 * median(widths))} % in the median, "
            f"\u00b1{number(100 * max(widths))} % at most"
        )
        wide = sum(width > WIDE for width in widths)
        faults += [f"{wide} with intervals beyond \u00b1{100 * WIDE:.0f} %"] if wide else []
    words = f"{_capital('; '.join(faults))}." if faults else "Nothing failed, nothing was flagged."
    verdict, tone = ("WITH CARE", CARE) if faults else ("SOUND", GOOD)
    return Tile(HEALTH, _value(rows, run, experiment), between, verdict, tone, words)


def _value(rows: Sequence[CellRow], run: Run, experiment: Experiment | None) -> str:
    if experiment is not None and not rows:
        ended = [course.end.outcome for course in experiment.courses if course.end is not None]
        return f"{whole(ended.count('finished'))} of {whole(len(ended))} trainings finished"
    if rows:
        return f"{whole(sum(r.status == 'ok' for r in rows))} of {whole(len(rows))} cells timed"
    records = [*run.profiles, *(r for own in run.others.values() for r in own)]
    failed = len(run.failures)
    return f"{whole(max(len(records) - failed, 0))} of {whole(len(records))} records are fine"


def _faults(rows: Sequence[CellRow], run: Run) -> list[str]:
    failed = len(run.failures)
    flagged = sum(bool(row.flags) for row in rows)
    return [
        *([f"{whole(failed)} failed or invalid"] if failed else []),
        *([f"{whole(flagged)} cells flagged, such as for a busy machine"] if flagged else []),
    ]


def _of_training(experiment: Experiment | None) -> list[str]:
    if experiment is None:
        return []
    lost = sum(course.lost for course in experiment.courses)
    busy = sum(course.end is not None and not course.undisturbed for course in experiment.courses)
    found = aa_difference(experiment)
    apart = found is not None and found.value != 0
    return [
        *([f"{whole(lost)} trainings lost"] if lost else []),
        *([f"{whole(busy)} with disturbed seconds"] if busy else []),
        *(["plain training once more differs from plain"] if apart else []),
    ]


def _count(notes: Sequence[str]) -> list[str]:
    return [] if not notes else ["a note below" if len(notes) == 1 else f"{len(notes)} notes below"]


def _half_widths(rows: Sequence[CellRow]) -> list[float]:
    """Of the medians of prepare and steps, relative to them."""
    widths = [(row.ci_high_s - row.ci_low_s) / 2 / row.median_s for row in rows if row.median_s > 0]
    return [width for width in widths if math.isfinite(width)]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]

"""The answers of a run that trained: what a teleport cost, whether it paid, what the loss did."""

import math
from collections.abc import Sequence
from statistics import median

from bench.statistics.medians import median_interval
from reports.front.dots import Dot
from reports.front.tile import CARE, COST, GOOD, LOSS, PAYS, PLAIN, Tile, absent
from reports.front.timed import judged, moved_by
from reports.run.run import as_float
from reports.text.formatting import interval, number, percent, small
from reports.training.acceleration import NOT_JUDGED
from reports.training.experiment import RULE_WORDS, Course, Experiment, is_control
from reports.training.judged import Judged
from reports.training.moves import time_share
from reports.training.verdicts import JUDGED_BY, Compared, compared


def moving(experiment: Experiment) -> list[Course]:
    """The judged trials with teleports that have ended; controls are none."""
    ended = [course for course in experiment.courses if course.end is not None]
    own = [course for course in ended if course.teleports and not is_control(course.facts.arm)]
    return [course for course in own if course.facts.role == "test"] or own


def cost_tile(experiment: Experiment) -> Tile:
    """A teleport on one batch, in passes of training: counted operations."""
    every = moving(experiment)
    lead = next((a for a in experiment.arms if any(c.facts.arm == a for c in every)), "")
    courses = [course for course in every if course.facts.arm == lead]
    counts = [_mean([as_float(t.gradient_equivalents) for t in c.teleports]) for c in courses]
    known = [value for value in counts if math.isfinite(value)]
    if not known:
        return absent(COST, "What a teleport costs could not be counted in this run.")
    found = median_interval(known)
    shares = sorted(s for c in courses if math.isfinite(s := time_share([c])))
    of_time = f" They took {_range(shares)} of the training time." if shares else ""
    words = f"{lead}, on one batch; a gradient is a forward and backward pass of a training batch."
    between = interval(found.value, found.low, found.high).partition(" [")
    return Tile(
        COST,
        f"{number(found.value)} gradients",
        f"95 % within [{between[2]}" if between[2] else "",
        "COUNTED",
        PLAIN,
        f"{words}{of_time}",
    )


def pays_tile(judged_runs: Judged) -> Tile:
    """How many comparisons are faster, by all the work, under the stricter rule."""
    every, rule = judged_comparisons(judged_runs)
    if not every:
        return absent(PAYS, "Nothing has been compared with plain training yet.")
    rows = [each.rows[JUDGED_BY] for each in every]
    words = [row.verdict for row in rows]
    faster, slower = words.count("FASTER"), words.count("SLOWER")
    ratios = [row.ratio for row in rows if math.isfinite(row.ratio)]
    between = f"work to the target over plain\u2019s: {_numbers(ratios)}" if ratios else ""
    undecided = words.count(NOT_JUDGED)
    rest = f" {undecided} of {len(rows)} are undecided." if undecided else ""
    text = (
        f"comparisons with plain training {RULE_WORDS[rule]}, teleports\u2019 own work included; "
        f"{slower} {'is' if slower == 1 else 'are'} slower.{rest}"
    )
    verdict, tone = _verdict(faster, slower)
    return Tile(PAYS, f"faster in {faster} of {len(rows)}", between, verdict, tone, text)


def _verdict(faster: int, slower: int) -> tuple[str, str]:
    if faster and slower:
        return "IT DEPENDS", PLAIN
    if faster:
        return "PAYS HERE", GOOD
    return ("DOES NOT PAY HERE", CARE) if slower else ("UNDECIDED", PLAIN)


def judged_comparisons(judged_runs: Judged) -> tuple[list[Compared], str]:
    """The comparisons of teleports, after tuning where there was any, and the rule."""
    rules = judged_runs.experiment.rules
    every = [e for e in compared(judged_runs.comparisons) if not is_control(e.arm)]
    for rule in reversed(rules):
        own = [each for each in every if each.rule == rule and JUDGED_BY in each.rows]
        if own:
            return own, rule
    return [], ""


def dots_of(every: Sequence[Compared]) -> list[tuple[str, Dot]]:
    """Arm and dot of each comparison: the work to the target over plain\u2019s."""
    found = []
    for each in every:
        row = each.rows[JUDGED_BY]
        words = f"{each.optimizer}, {each.arm}: {interval(row.ratio, row.ci_low, row.ci_high)}"
        name = f"{each.optimizer}, {each.arm}"
        dot = Dot(name, row.ratio, row.ci_low, row.ci_high, f"{words}, {row.verdict}")
        found.append((each.arm, dot))
    return found


def loss_tile(experiment: Experiment) -> Tile:
    """What the teleports did to the loss of their own batch, relative to its value."""
    moves = [t for course in moving(experiment) for t in course.teleports]
    changes = [_change(as_float(t.loss_before), as_float(t.loss_after)) for t in moves]
    known = sorted(value for value in changes if math.isfinite(value))
    if not known:
        return absent(LOSS, "No teleport with a loss before and after it has ended yet.")
    middle, most = median(known), known[-1]
    pairs = [(as_float(t.objective_before), as_float(t.objective_after)) for t in moves]
    grown = [after / before for before, after in pairs if before > 0 and math.isfinite(after)]
    growth = f" while its objective grew {number(median(grown))}-fold" if grown else ""
    words = f"Median and range of {len(known)} teleports, each on its own batch{growth}."
    verdict, tone = judged(middle)
    between = f"within [{small(known[0])}, {small(most)}] of its value"
    return Tile(LOSS, moved_by(middle), between, verdict, tone, words)


def _change(before: float, after: float) -> float:
    return abs(after - before) / abs(before) if before else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _range(shares: Sequence[float]) -> str:
    low, high = percent(shares[0]), percent(shares[-1])
    return low if low == high else f"{low} to {high}"


def _numbers(values: Sequence[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"

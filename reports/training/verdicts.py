"""The table of verdicts, and the sentences over it."""

from collections.abc import Sequence
from math import isfinite, isinf
from typing import NamedTuple

from bench.statistics.medians import median_ranks
from reports.text import html_tables as html
from reports.text.formatting import interval, listed, number
from reports.text.html_tables import Cell, Table
from reports.training.acceleration import AXES, NOT_JUDGED, AccelerationRow
from reports.training.controls import Difference
from reports.training.experiment import RULE_WORDS, Experiment, is_control

_WORDS = {
    "FASTER": ("is faster", "are faster"),
    "SAME": ("is the same", "are the same"),
    "SLOWER": ("is slower", "are slower"),
    NOT_JUDGED: ("is undecided", "are undecided"),
}
AXIS_LABELS = {
    "steps": "steps",
    "seconds": "seconds",
    "gradient_equivalents": "gradient-equivalents",
}
_MOST_NAMED = 4  # comparisons with a sentence of their own
JUDGED_BY = "gradient_equivalents"  # what the lead goes by: it counts all work, on any machine


class Compared(NamedTuple):
    """An arm of an optimizer under one rule: its row on each axis."""

    optimizer: str
    arm: str
    against: str
    rule: str
    rows: dict[str, AccelerationRow]

    @property
    def decided(self) -> bool:
        """Whether there is a verdict on any axis."""
        return any(row.verdict != NOT_JUDGED for row in self.rows.values())


def compared(rows: Sequence[AccelerationRow]) -> list[Compared]:
    """The rows by what they compare, teleports before controls, else in their order."""
    found: dict[tuple[str, str, str, str], dict[str, AccelerationRow]] = {}
    for row in rows:
        place = (row.optimizer, row.arm, row.against, row.lr_rule)
        found.setdefault(place, {})[row.axis] = row
    every = [Compared(*place, own) for place, own in found.items()]
    return sorted(every, key=lambda each: is_control(each.arm))


def verdict_table(chosen: Sequence[Compared], name: str) -> Table:
    """A row per comparison, with a column for each axis."""
    text = ["optimizer", "arm", "learning rate", *AXIS_LABELS.values(), "arrive"]
    text += ["seeds for 2\u00a0%", "why undecided"]
    rows = [
        [
            *html.texts(each.optimizer, _arm(each), each.rule),
            *(_verdict(each.rows.get(axis)) for axis in AXES),
            html.words(_hits(each)),
            _seeds_needed(each),
            html.words(_why(each)),
        ]
        for each in chosen
    ]
    other = "that of the arm it is compared with" if name == "controls" else "plain training\u2019s"
    caption = f"Time to the target over {other}, on three clocks: {name}"
    return Table(caption, html.columns(text, []), rows).without_empty()


def _arm(each: Compared) -> str:
    return each.arm if each.against == "plain" else f"{each.arm}, against {each.against}"


def _verdict(row: AccelerationRow | None) -> Cell:
    if row is None:
        return html.UNKNOWN
    times = interval(row.ratio, row.ci_low, row.ci_high)
    left = f"{row.pairs_left_out} of {row.seeds + row.pairs_left_out} pairs left out"
    remark = f"{times}; {left}" if row.pairs_left_out else times
    return Cell(row.verdict, remark)


def _hits(each: Compared) -> str:
    """How many of the runs of both arrive."""
    row = each.rows.get("steps")
    if row is None or not row.seeds:
        return ""
    ours, theirs = (round(rate * row.seeds) for rate in (row.hit_rate, row.hit_rate_against))
    return f"{ours} and {theirs} of {row.seeds}"


def _seeds_needed(each: Compared) -> Cell:
    """Over all axes, the most that it would have taken to find a small effect."""
    needed = [row.needed_seeds for row in each.rows.values() if isfinite(row.needed_seeds)]
    return html.whole(max(needed)) if needed else html.UNKNOWN


def _why(each: Compared) -> str:
    """Reasons, each once, with the axes they are for if not for all."""
    found: dict[str, list[str]] = {}
    for axis, row in each.rows.items():
        if row.reason:
            found.setdefault(row.reason, []).append(AXIS_LABELS[axis])
    if len(found) == 1 and len(next(iter(found.values()))) == len(each.rows):
        return next(iter(found))
    return "; ".join(f"{listed(axes)}: {reason}" for reason, axes in found.items())


def lead(every: Sequence[Compared], rules: Sequence[str]) -> list[str]:
    """What the teleports come to, a sentence for each rule of the learning rate."""
    return [sentence for rule in reversed(rules) if (sentence := _answer(every, rule))]


def _answer(every: Sequence[Compared], rule: str) -> str:
    ours = [e for e in every if e.rule == rule and not is_control(e.arm) and JUDGED_BY in e.rows]
    if not ours:
        return ""
    words = [each.rows[JUDGED_BY].verdict for each in ours]
    sentence = (
        f"{RULE_WORDS[rule].capitalize()}, {_counted(words)}, by all the work that is done, "
        "teleports included."
    )
    found = [each for each in ours if each.rows[JUDGED_BY].verdict != NOT_JUDGED]
    if len(found) <= _MOST_NAMED:
        return " ".join([sentence, *map(_found, found)])
    by_ratio = sorted(found, key=lambda each: each.rows[JUDGED_BY].ratio)
    return " ".join([sentence, "From first to last:", _found(by_ratio[0]), _found(by_ratio[-1])])


def _counted(words: Sequence[str]) -> str:
    """How many comparisons came to which verdict."""
    of = "of a teleport with plain training"
    if len(words) == 1:
        return f"the one comparison {of} {_WORDS[words[0]][0]}"
    if len(set(words)) == 1:
        return f"all {len(words)} comparisons {of} {_WORDS[words[0]][1]}"
    counts = [
        f"{words.count(name)} {few if words.count(name) == 1 else many}"
        for name, (few, many) in _WORDS.items()
        if name in words
    ]
    return f"of {len(words)} comparisons {of} {listed(counts)}"


def _found(each: Compared) -> str:
    row = each.rows[JUDGED_BY]
    times = interval(row.ratio, row.ci_low, row.ci_high)
    return f"With {each.optimizer}, {each.arm} takes {times} of the work: {row.verdict}."


def aa_sentence(found: Difference | None, experiment: Experiment) -> str:
    """What the arm that is plain once more says of the measuring itself."""
    if found is None:
        asked = "aa" in experiment.arms
        return (
            "No trial of the control aa has ended beside its plain one."
            if asked
            else "This run has no control aa, plain training once more: whether its arms are "
            "paired was not checked."
        )
    pairs = "1 pair" if found.pairs == 1 else f"{found.pairs} pairs"
    if found.value == 0:
        return (
            f"The control aa, plain training once more, differs from plain by 0 in every value "
            f"that is no time, in {pairs} of trials."
        )
    size = "is not there in both" if isinf(found.value) else f"by {number(found.value)}"
    return (
        f"The control aa, plain training once more, differs from plain: the {found.what} {size}, "
        f"the largest difference in {pairs} of trials. It must be exactly 0 on a CPU: where it is "
        "not, the arms are not paired and the verdicts below mean little."
    )


def progress_notes(experiment: Experiment) -> list[str]:
    """What is missing yet."""
    words = {"tuning": "tuning trials", "test": "trials that are judged"}
    notes = []
    for role, (ended, wanted) in experiment.progress.items():
        if wanted is not None and ended < wanted:
            notes.append(
                f"This experiment is not finished: {ended} of {wanted} {words[role]} have ended. "
                "Add --resume to go on."
            )
    settings = experiment.settings
    if settings is not None and median_ranks(settings.seeds) is None:
        seeds = "1 seed is" if settings.seeds == 1 else f"{settings.seeds} seeds are"
        notes.append(
            f"{seeds} for a look: an interval of order statistics takes six, so that every "
            "comparison is UNDECIDED by design."
        )
    if settings is None:
        notes.append(
            "What was asked for is not known, since spec.toml is missing or has no [training] "
            "that can be read: there is no target and no verdict."
        )
    return notes


def share_of_budget(experiment: Experiment) -> str:
    """``80 % of 15 epochs``; empty where it is not known."""
    settings = experiment.settings
    return f"{100 * settings.target_at:g} % of {settings.epochs} epochs" if settings else ""

"""How the trials ended: how many there are, and which were lost."""

from reports.text import html_tables as html
from reports.text.html_tables import Cell, Column, Table
from reports.training.experiment import Course, Experiment

_ROLES = {"tuning": "tuning", "test": "judged"}
_MOST = 60


def lost_table(experiment: Experiment) -> Table:
    """A row per trial that diverged or failed."""
    text = ["optimizer", "arm", "learning rate", "role"]
    columns = html.columns(text, ["lr", "seed", "steps"])
    columns += [Column(label, False) for label in ("outcome", "reason")]
    lost = [course for course in experiment.courses if course.lost]
    lost.sort(key=lambda course: (*course.place, course.facts.seed))
    more = f"; {len(lost) - _MOST} more are in the journal" if len(lost) > _MOST else ""
    rows = [_cells(course) for course in lost[:_MOST]]
    return Table(f"Trials that did not come to their end{more}", columns, rows).without_empty()


def _cells(course: Course) -> list[Cell]:
    facts, end = course.facts, course.end
    known = facts.lr > 0  # a trial that failed before its rate was found has none
    return [
        *html.texts(facts.optimizer, facts.arm, facts.lr_rule, _ROLES[facts.role]),
        html.words(f"{facts.lr:g}") if known else html.UNKNOWN,
        html.whole(facts.seed),
        html.whole(end.steps if end else None),
        *html.texts(end.outcome if end else "", (end.reason if end else "") or _default(course)),
    ]


def _default(course: Course) -> str:
    diverged = course.end is not None and course.end.outcome == "diverged"
    return "its loss was not finite any more" if diverged else "no reason recorded"


def counts(experiment: Experiment) -> str:
    """A sentence on all trials."""
    outcomes = [course.end.outcome for course in experiment.courses if course.end is not None]
    if not outcomes:
        return "No trial has ended yet."
    rest = [f"{outcomes.count(o)} {o}" for o in ("diverged", "failed") if o in outcomes]
    words = f", {' and '.join(rest)}" if rest else ""
    noun = "training run has" if len(outcomes) == 1 else "training runs have"
    return f"{len(outcomes)} {noun} ended: {outcomes.count('finished')} finished{words}."

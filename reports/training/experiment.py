"""The trials of a training experiment: as its spec asks for them, and as the journal has them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, TypeVar

from bench.errors import SpecError
from bench.statistics.training.arrivals import Curve
from bench.storage.records import TeleportRecord, TrainingRecord, TrialRecord
from bench.storage.training_records import TrialFacts
from bench.training.arms import CONTROLS, NORMALISED, PLAIN, all_arms
from bench.training.settings import Training
from bench.training.trials import arms_of, judged_trials, tuning_trials
from reports.run.run import Run, as_float

RULES = ("fixed", "tuned")
RULE_WORDS = {"fixed": "at the fixed learning rate", "tuned": "after tuning"}
KINDS = ("training", "teleport", "trial")

RecordT = TypeVar("RecordT", TrainingRecord, TeleportRecord)


@dataclass(frozen=True)
class Course:
    """A trial: its evaluations and teleports in their order, and how it ended, once it has."""

    facts: TrialFacts
    evaluations: Sequence[TrainingRecord]
    teleports: Sequence[TeleportRecord]
    end: TrialRecord | None

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Optimizer, arm, rule of the learning rate and role."""
        facts = self.facts
        return (facts.optimizer, facts.arm, facts.lr_rule, facts.role)

    @property
    def lost(self) -> bool:
        """Whether it ended without having come to its last step."""
        return self.end is not None and self.end.outcome != "finished"

    @property
    def undisturbed(self) -> bool:
        """Whether its seconds count: no epoch on a busy machine, and never taken up again."""
        return not any(each.busy_epochs or each.interruptions for each in self.evaluations)

    def counts(self, axis: str) -> bool:
        """Whether a field of its evaluations is a clock to go by."""
        known = all(getattr(each, axis) is not None for each in self.evaluations)
        return known and (axis != "train_seconds" or self.undisturbed)

    @property
    def last_loss(self) -> float:
        """The training loss at its end; inf if it did not come there."""
        if self.lost or not self.evaluations:
            return inf
        return _loss(self.evaluations[-1].train_loss)

    def curve(self, axis: str) -> Curve:
        """Training losses against a field of the evaluations; one that was lost ends at inf."""
        values = [as_float(getattr(each, axis)) for each in self.evaluations]
        losses = [_loss(each.train_loss) for each in self.evaluations]
        if self.lost:
            values, losses = [*values, values[-1] if values else 0.0], [*losses, inf]
        return Curve(values, losses)


@dataclass(frozen=True)
class Experiment:
    """A training experiment.

    Attributes:
        settings: [training] of the spec; None where that is not known.
        courses: every trial that the journal tells of.
    """

    settings: Training | None
    courses: Sequence[Course]

    @property
    def model(self) -> str:
        """What was trained."""
        return next((course.facts.model for course in self.courses), "")

    @property
    def dataset(self) -> str:
        """What it was trained on."""
        return next((course.facts.dataset for course in self.courses), "")

    @cached_property
    def optimizers(self) -> list[str]:
        """In the order of the spec."""
        asked = self.settings.optimizers if self.settings else ()
        return _ordered(asked, (course.facts.optimizer for course in self.courses))

    @cached_property
    def arms(self) -> list[str]:
        """In the order of the spec, plain first."""
        asked = [arm.name for arm in all_arms(self.settings.arms)] if self.settings else [PLAIN]
        return _ordered(asked, (course.facts.arm for course in self.courses))

    def arms_of(self, optimizer: str) -> list[str]:
        """The arms of one optimizer: some controls are for SGD alone."""
        asked = {arm.name for arm in arms_of(self.settings, optimizer)} if self.settings else set()
        seen = {c.facts.arm for c in self.courses if c.facts.optimizer == optimizer}
        return [arm for arm in self.arms if arm in asked | seen]

    @cached_property
    def rules(self) -> list[str]:
        """Which of the two questions are asked: at a fixed learning rate, and after tuning."""
        if self.settings is None:
            seen = {course.facts.lr_rule for course in self.courses}
            return [rule for rule in RULES if rule in seen]
        asked = {"fixed": bool(self.settings.lrs), "tuned": self.settings.tune > 0}
        return [rule for rule in RULES if asked[rule]]

    @cached_property
    def _by_place(self) -> dict[tuple[str, str, str, str], list[Course]]:
        found: dict[tuple[str, str, str, str], list[Course]] = {}
        for course in sorted(self.courses, key=lambda c: (c.facts.lr, c.facts.seed)):
            found.setdefault(course.place, []).append(course)
        return found

    def judged(self, optimizer: str, arm: str, rule: str) -> dict[int, Course]:
        """Seed -> the trial that is judged, once it has ended."""
        found = self._by_place.get((optimizer, arm, rule, "test"), [])
        return {course.facts.seed: course for course in found if course.end is not None}

    def tuning(self, optimizer: str, arm: str, rule: str) -> list[Course]:
        """The trials that find learning rates and targets and have ended, by learning rate."""
        found = self._by_place.get((optimizer, arm, rule, "tuning"), [])
        return [course for course in found if course.end is not None]

    @property
    def progress(self) -> dict[str, tuple[int, int | None]]:
        """Role -> how many trials have ended, and how many are asked for, where that is known."""
        ended: list[str] = [course.facts.role for course in self.courses if course.end is not None]
        wanted: dict[str, int | None] = {"tuning": None, "test": None}
        if (asked := self.settings) is not None:
            tuning = [tuning_trials(asked, name, 0) for name in asked.optimizers]
            wanted["tuning"] = asked.tuning_seeds * sum(map(len, tuning))
            judged = [judged_trials(asked, name, 0) for name in asked.optimizers]
            wanted["test"] = asked.seeds * sum(map(len, judged))
        return {role: (ended.count(role), wanted[role]) for role in wanted}


def experiment_of(run: Run) -> Experiment | None:
    """The training experiment of a run; None where it has none."""
    table = (run.spec or {}).get("training")
    records = {kind: run.others.get(kind, []) for kind in KINDS}
    if table is None and not any(records.values()):
        return None
    return Experiment(_settings(table), _courses(**records))


def is_control(arm: str) -> bool:
    """Whether an arm is there to explain a gain, and not to have one."""
    return arm in CONTROLS or arm.startswith(f"{NORMALISED}+")


def against(arm: str) -> str:
    """The arm that one is compared with."""
    return NORMALISED if arm.startswith(f"{NORMALISED}+") else PLAIN


def _settings(table: Any) -> Training | None:
    """What the spec asks for; None where it is no table of ours, which the page says."""
    try:
        return Training(**table) if isinstance(table, dict) else None
    except (SpecError, TypeError):
        return None


def _courses(
    training: list[TrainingRecord], teleport: list[TeleportRecord], trial: list[TrialRecord]
) -> list[Course]:
    """One for each trial; what a resumed run made again counts as it was made last."""
    evaluations = _by_trial(training, "epoch", "step")
    teleports = _by_trial(teleport, "epoch", "step", "batch")
    ends = {record.trial_id: record for record in trial}
    first = {record.trial_id: record for record in reversed([*training, *teleport, *trial])}
    return [
        Course(facts, evaluations.get(name, []), teleports.get(name, []), ends.get(name))
        for name, facts in sorted(first.items())
    ]


def _by_trial(records: Iterable[RecordT], *order: str) -> dict[str, list[RecordT]]:
    found: dict[str, dict[tuple[float, ...], RecordT]] = {}
    for record in records:
        place = tuple(getattr(record, name) for name in order)
        found.setdefault(record.trial_id, {})[place] = record
    return {name: [own[place] for place in sorted(own)] for name, own in found.items()}


def _ordered(asked: Iterable[str], seen: Iterable[str]) -> list[str]:
    found = set(seen)
    known = [name for name in asked if name]
    return [*known, *sorted(found - set(known))]


def _loss(value: float | None) -> float:
    return inf if value is None else value

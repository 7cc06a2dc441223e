"""How long a unit will take, from a few steps, evaluations and teleports that are carried out."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from bench.problems.optimizers import optimizer_for
from bench.process.protocol import Message
from bench.trainer.moments.teleports import schedule_for
from bench.trainer.steps import take_step
from bench.trainer.study import Study, study_of
from bench.training.arms import Arm
from bench.training.settings import MIDDLES
from teleport_core import TeleportError
from teleport_core.wall_clock import wall_clock

_STEPS = 10
_LOOKS = 4  # at a moment: before, after, and at both ends of the look ahead


def unit_seconds(command: Message) -> float:
    """Seconds for all trials of a unit; an arm that cannot be carried out costs nothing.

    Raises:
        SpecError: the unit cannot be built.
    """
    study, trials = study_of(command), command["trials"]
    settings, steps = study.settings, study.settings.epochs * study.task.batches.steps
    optimizer = trials[0]["optimizer"]
    step = _step_seconds(study, optimizer)
    model = study.task.model(0)
    evaluation = _timed(study, lambda: study.evaluation.of(model))
    evaluations = 1 + settings.epochs * settings.evaluations
    total = len(trials) * (steps * step + evaluations * evaluation)
    moments = len(study.moments.epochs) + len(study.moments.steps)
    watching = 2 * settings.horizon * step + _LOOKS * evaluation
    for name in sorted({trial["arm"] for trial in trials}):
        if study.arms[name].variant is not None:
            count = sum(trial["arm"] == name for trial in trials)
            calls = study.task.point.b * _call_seconds(study, study.arms[name], optimizer)
            total += count * moments * (calls + watching)
    return total


def _step_seconds(study: Study, name: str) -> float:
    model = study.task.model(0)
    optimizer = optimizer_for(name, model.parameters(), MIDDLES[name])
    batches = list(islice(study.task.batches.epoch(0), _STEPS))

    def steps() -> None:
        for batch in batches:
            take_step(study.task, model, optimizer, batch, lambda _: None)

    steps()
    return _timed(study, steps) / len(batches)


def _call_seconds(study: Study, arm: Arm, name: str) -> float:
    """One teleport of an arm, after one that is not timed."""
    model = study.task.model(0)
    optimizer = optimizer_for(name, model.parameters(), MIDDLES[name])
    batch = list(islice(study.task.batches.teleports(0, study.task.point.n), 2))
    schedule = schedule_for(arm, replace(study.task.point, b=1), optimizer)

    def call() -> None:
        schedule.before_epoch(0, model, study.task.loss_fn, batch, optimizer)

    try:
        call()
        return _timed(study, call)
    except TeleportError:
        return 0.0


def _timed(study: Study, call: Callable[[], object]) -> float:
    now = wall_clock(study.task.point.device)
    begun = now()
    call()
    return now() - begun

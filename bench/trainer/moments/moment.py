"""A moment of a trial's schedule: its teleports, or what a control does in their place."""

from bench.errors import SpecError
from bench.problems.factory import Batch
from bench.trainer.moments.controls import CONTROLS
from bench.trainer.moments.moves import Happened
from bench.trainer.moments.teleports import by_schedule, schedule_for, teleports
from bench.trainer.run import Run


def carry_out(run: Run, place: int, batch: Batch, partner: Run | None) -> None:
    """What the arm does before the step on ``batch``, the ``place``-th of its epoch.

    The clock runs. ``partner`` is the paired arm, which has been at this moment already.

    Raises:
        SpecError: it has not, or ended before.
    """
    control = CONTROLS.get(run.arm.name)
    if run.arm.variant is not None:
        schedule = schedule_for(run.arm, run.study.task.point, run.optimizer)
        teleports(run, place, batch, by_schedule(schedule, run))
    elif control is not None:
        control(run, place, batch, _example(partner, run.step))


def _example(partner: Run | None, step: int) -> Happened:
    """What the paired arm did at this moment."""
    found = None if partner is None else partner.happened.get(step)
    if found is None:
        raise SpecError(
            f"expected the paired arm to have been at step {step}, which this control does as it "
            "did; it ended before: see how it ended"
        )
    return found

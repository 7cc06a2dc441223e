"""What calls of ``teleport`` on a live model take, each beside an SGD step."""

import random
import warnings
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from bench.spec.variants import Variant
from bench.statistics.medians import median_interval, paired_ratio
from bench.timing.clock import WallClock
from bench.timing.rounds import options_at, quiet_collector
from bench.timing.whole_calls import one_step, pairs
from reports.measured.rows import Interval
from teleport_core import Problem, TeleportWarning, teleport
from teleport_core.errors import ProblemError
from teleport_core.results import Seconds


def cost(
    problem: Problem, variant: Variant, steps: int, back: Callable[[], None]
) -> dict[str, Any]:
    """Seconds of a call and of an SGD step, and how many of these each part of the call takes.

    Raises:
        TeleportError: fewer steps were taken than asked for, or the method refuses.
    """
    device = next(iter(problem.parameters().values())).device
    clock, phases = WallClock(str(device)), list[Seconds]()
    options = options_at(variant, steps)
    batch = (problem.inputs, problem.targets)

    def call() -> float:
        back()
        with quiet_collector():
            begun = clock.mark()
            result = teleport(
                problem.model, problem.loss_fn, batch, method=variant.method, **options
            )
            ended = clock.mark()
        if result.steps_done != steps:
            raise ProblemError(f"{result.steps_done} of {steps} steps; {result.status.value}")
        phases.append(result.seconds)
        return clock.seconds(begun, ended)

    def step() -> float:
        back()
        with quiet_collector():
            return one_step(problem, clock)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TeleportWarning)  # which would be a step less, refused
        found = list(pairs(call, step, random.Random(0), monotonic))
    sgd = [pair["sgd_s"] for pair in found]
    calls = [pair["seconds"] for pair in found]
    counted = phases[1:]  # the first was the warm-up
    return {
        "sgd_s": _interval(sgd),
        "call_s": _interval(calls),
        "call_sgd_steps": _ratio(calls, sgd),
        "prepare_sgd_steps": _ratio([each.prepare for each in counted], sgd),
        "step_sgd_steps": _ratio([each.steps / steps for each in counted], sgd),
    }


def _interval(seconds: Sequence[float]) -> Interval:
    return Interval(*median_interval(seconds)[:3])


def _ratio(seconds: Sequence[float], sgd: Sequence[float]) -> Interval:
    return Interval(*paired_ratio(seconds, sgd)[:3])

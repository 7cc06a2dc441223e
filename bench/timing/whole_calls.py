"""What a user pays: whole calls of ``teleport``, its checks included, each beside one SGD step.

The rounds of a block time the two phases of a method alone. Here the clock is around all that a
user calls, on one batch and with every default but the steps. Both sides of a pair start from the
same weights; which of them goes first changes from pair to pair.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.timing.clock import Clock
from bench.timing.rounds import sgd_call
from teleport_core import Problem, TeleportResult, teleport
from teleport_core.errors import ProblemError

MOST_PAIRS = 7  # the range of six covers a median with 95 %
LEAST_PAIRS = 3
CELL_SECONDS = 2.0

Timed = Callable[[], float]


def pairs(
    call: Timed, step: Timed, order: random.Random, now: Callable[[], float]
) -> Iterator[dict[str, float]]:
    """Seconds of a call and of the SGD step beside it, up to seven times, after one of each.

    No pair is begun after two seconds, the first calls among them, but for the first three.
    """
    began = now()
    call()
    step()
    call_first = order.random() < 1 / 2
    for number in range(MOST_PAIRS):
        if number >= LEAST_PAIRS and now() - began >= CELL_SECONDS:
            return
        if call_first:
            seconds, sgd_s = call(), step()
        else:
            sgd_s, seconds = step(), call()
        call_first = not call_first
        yield {"seconds": seconds, "sgd_s": sgd_s}


def whole_call(problem: Problem, method: str, options: Mapping[str, Any], clock: Clock) -> float:
    """Seconds of one call of ``teleport``.

    Raises:
        ProblemError: it took fewer steps than it was asked for.
    """
    seconds, _ = timed_call(problem, method, options, clock)
    return seconds


def timed_call(
    problem: Problem, method: str, options: Mapping[str, Any], clock: Clock
) -> tuple[float, TeleportResult]:
    """Likewise, and what it did; ``options`` are the keywords of ``teleport``."""
    batch = (problem.inputs, problem.targets)
    begun = clock.mark()
    result = teleport(problem.model, problem.loss_fn, batch, method=method, **options)
    ended = clock.mark()
    if result.steps_done != options["steps"]:
        raise ProblemError(
            f"expected {options['steps']} steps; {result.steps_done} were carried out "
            f"({result.status.name}), so the time is not that of the full work"
        )
    return clock.seconds(begun, ended), result


def one_step(problem: Problem, clock: Clock) -> float:
    """Seconds of one SGD step."""
    samples, _, _ = sgd_call([problem], 1, [clock])
    return float(samples[0]["steps_s"])

"""Whole calls of ``teleport``, timed when all else is known of the cells of a block.

A failure here costs these times and no others.
"""

import random
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from bench.plan.points import Point
from bench.process.protocol import Message
from bench.spec.variants import SGD, parse_variant
from bench.timing.clock import WallClock
from bench.timing.rounds import options_at, quiet_collector
from bench.timing.whole_calls import Timed, one_step, pairs, whole_call
from bench.worker.failures import Emit, survived
from teleport_core import Problem, TeleportWarning

_UNKNOWN = "whole calls are not timed: "


@dataclass(frozen=True)
class WholeCalls:
    """The whole calls of the cells of a block; ``back`` leads to where each of them starts."""

    point: Point
    problem: Problem
    back: Callable[[], None]
    order: random.Random
    emit: Emit

    def of(self, cell_id: str, variant: str) -> Message:
        """What the journal keeps of those of one cell."""
        if variant == str(SGD):
            return {"calls": [], "call_note": ""}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", TeleportWarning)
                return {"calls": self._pairs(cell_id, variant), "call_note": ""}
        except TeleportWarning as warning:
            traceback.print_exc()
            return {"calls": [], "call_note": f"{_UNKNOWN}it warned: {warning}"}
        except Exception as error:
            return {"calls": [], "call_note": f"{_UNKNOWN}{survived(error)}"}

    def _pairs(self, cell_id: str, text: str) -> list[dict[str, float]]:
        clock, variant = WallClock(self.point.device), parse_variant(text)
        options = options_at(variant, self.point.t)

        def fresh(timed: Timed) -> float:
            self.emit({"event": "note", "cell_id": cell_id})
            self.back()
            with quiet_collector():
                return timed()

        def call() -> float:
            return fresh(lambda: whole_call(self.problem, variant.method, options, clock))

        def step() -> float:
            return fresh(lambda: one_step(self.problem, clock))

        return list(pairs(call, step, self.order, monotonic))

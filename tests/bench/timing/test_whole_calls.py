"""Whole calls beside SGD steps, on a clock that only moves when told to."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any

import pytest
from small_problems import classification

from bench.spec.variants import parse_variant
from bench.timing import whole_calls
from bench.timing.rounds import TIMING_LR, options_at
from bench.timing.whole_calls import one_step, pairs, whole_call
from teleport_core import Guarantee, Status, TeleportResult
from teleport_core.errors import ProblemError


@dataclass
class FakeClock:
    """Calls and steps take what they are given, the first of each twice that."""

    time: float = 0.0
    name: str = "wall"
    seen: list[str] = field(default_factory=list)

    def mark(self) -> float:
        return self.time

    def seconds(self, start: float, end: float) -> float:
        return end - start

    def taking(self, name: str, seconds: float) -> Callable[[], float]:
        def timed() -> float:
            spent = seconds if name in self.seen else 2 * seconds
            self.seen.append(name)
            self.time += spent
            return spent

        return timed


def taken(call_s: float, seed: int = 0) -> tuple[FakeClock, list[dict[str, float]]]:
    """The pairs of a call of so many seconds and a step of an eighth of one."""
    clock = FakeClock()
    call, step = clock.taking("call", call_s), clock.taking("step", 0.125)
    return clock, list(pairs(call, step, random.Random(seed), clock.mark))


@pytest.mark.parametrize(("call_s", "count"), [(0.0625, 7), (0.25, 4), (0.375, 3), (900.0, 3)])
def test_seven_pairs_or_three_of_what_takes_long(call_s: float, count: int) -> None:
    """0.25 s: 0.75 s for the first of each, then 0.375 s a pair; the fourth begins before 2 s."""
    clock, found = taken(call_s)

    assert found == [{"seconds": call_s, "sgd_s": 0.125}] * count
    assert clock.seen.count("call") == clock.seen.count("step") == count + 1


def test_now_the_call_goes_first_and_now_the_step() -> None:
    firsts = set()
    for seed in range(8):
        clock, _ = taken(0.0625, seed)
        leading = clock.seen[2::2]
        assert leading[::2] == [leading[0]] * 4
        assert leading[1::2] == [leading[1]] * 3
        assert {*leading} == {"call", "step"}
        firsts.add(leading[0])

    assert firsts == {"call", "step"}


def test_the_clock_is_around_the_call_and_the_user_is_given_every_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem, clock, given = classification([6, 5, 3], 4), FakeClock(time=7.0), []

    def teleport(*arguments: Any, **options: Any) -> TeleportResult:
        given.append((arguments, options))
        clock.time += 3.0
        steps = options["steps"]
        return TeleportResult(Status.DONE, steps, [nan], [nan], {}, Guarantee.EXACT_ON_BATCH)

    monkeypatch.setattr(whole_calls, "teleport", teleport)
    variant = parse_variant("nullspace:tau=0.9")

    assert whole_call(problem, variant.method, options_at(variant, 5), clock) == 3.0

    ((model, loss_fn, batch), options) = given[0]
    assert (model, loss_fn, batch) == (
        problem.model,
        problem.loss_fn,
        (problem.inputs, problem.targets),
    )
    expected = {"method": "nullspace", "tau": 0.9, "steps": 5, "lr": TIMING_LR, "cap": inf}
    assert options == expected


def test_a_call_that_took_fewer_steps_has_no_time() -> None:
    """16 samples span the hidden layer: nothing is free."""
    problem = classification([6, 5, 3], 16)
    options = options_at(parse_variant("nullspace"), 4)

    with pytest.raises(ProblemError, match=r"expected 4 steps; 0 were carried out \(NO_"):
        whole_call(problem, "nullspace", options, FakeClock())


def test_one_step_is_one() -> None:
    problem, ran = classification([6, 5, 3], 4), []
    problem.model.register_forward_pre_hook(lambda *_: ran.append(1))

    assert one_step(problem, FakeClock()) == 0.0
    assert ran == [1]

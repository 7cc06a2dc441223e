"""The stopwatch by a fake clock, and how calls are watched."""

from time import perf_counter
from typing import Any

import pytest

from bench.profiling.observers import Stopwatch
from bench.profiling.record import Call, watch
from bench.statistics.medians import median_interval
from teleport_core.phases import BASIS, FORWARD, PSEUDO_INVERSE, observed


class Clock:
    """Time goes by only where somebody lets it; reading it takes none."""

    def __init__(self) -> None:
        self.moment = 100.0

    def __call__(self) -> float:
        return self.moment

    def wait(self, seconds: float) -> None:
        self.moment += seconds


def test_a_phase_has_its_own_time_and_that_of_what_is_within() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    with observed(stopwatch):
        clock.wait(7)
        with FORWARD:
            clock.wait(1)
            with PSEUDO_INVERSE:
                clock.wait(10)
            clock.wait(2)
        clock.wait(50)
        with PSEUDO_INVERSE:
            clock.wait(20)

    forward, inverse = stopwatch.phases["forward"], stopwatch.phases["pseudo-inverse"]
    assert (forward.calls, forward.self_s, forward.total_s) == (1, 3, 13)
    assert (inverse.calls, inverse.self_s, inverse.total_s) == (2, 30, 30)


def test_a_phase_within_itself_counts_once_in_its_total() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    with observed(stopwatch), FORWARD:
        clock.wait(1)
        with BASIS, FORWARD:
            clock.wait(4)

    forward = stopwatch.phases["forward"]
    assert (forward.calls, forward.self_s, forward.total_s) == (2, 5, 5)
    assert stopwatch.phases["basis"].total_s == 4


def test_time_of_a_phase_that_raised_is_kept() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)

    def wait_and_raise() -> None:
        clock.wait(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), observed(stopwatch), FORWARD:
        wait_and_raise()

    assert stopwatch.phases["forward"].self_s == 3


def call_of(clock: Clock, lengths: list[float]) -> Call:
    """Two thirds of every call in the phase ``basis``."""
    left = iter(lengths)

    def prepare() -> float:
        length = next(left)
        with BASIS:
            clock.wait(length * 2 / 3)
        return length

    return Call(prepare, lambda length: clock.wait(length / 3))


def test_phases_and_the_rest_add_up_to_the_call_of_median_length() -> None:
    clock = Clock()
    # One to warm up, then without and with the stopwatch in turn.
    lengths = [999.0, 3.0, 30.0, 6.0, 90.0, 9.0, 60.0]

    watched = watch(call_of(clock, lengths), clock, repeats=3)

    assert watched.seconds == pytest.approx(60)
    assert watched.unwatched_s == pytest.approx(6)
    phases: dict[str, Any] = watched.phases
    assert phases["basis"].self_s == pytest.approx(40)
    assert phases["other"].self_s == pytest.approx(20)
    assert sum(p.self_s for p in phases.values()) == pytest.approx(watched.seconds)


@pytest.mark.long
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("nullspace", {}),
        ("nullspace", {"engine": "textbook"}),
        ("symmetry", {}),
        ("symmetry", {"published": True}),
    ],
)
def test_phases_outside_the_profiler_add_up_to_the_call(
    method: str, options: dict[str, object]
) -> None:
    """Of a call at d = 512 the phases miss less than a tenth, and watching costs a hundredth.

    So they do of calls that nobody watched, as far as those can be told apart: they differ by some
    15 % among themselves.
    """
    import torch
    from small_problems import classification
    from torch import nn

    from teleport_core import make
    from teleport_core.wall_clock import wall_clock

    here = classification(
        [784, 512, 512, 10], 32, lambda: nn.LeakyReLU(0.1), bias=False, dtype=torch.float32
    )
    teleporter = make(method, **options, steps=8, lr=1e-6)
    call = Call(lambda: teleporter.prepare(here), lambda state: teleporter.advance(here, state))

    watched = watch(call, wall_clock("cpu"), repeats=15)

    named = sum(p.self_s for name, p in watched.phases.items() if name != "other")
    assert named == pytest.approx(watched.seconds, rel=0.1)
    marks = sum(p.calls for name, p in watched.phases.items() if name != "other")
    assert marks * cost_of_a_mark() < 0.01 * watched.unwatched_s
    share = median_interval(shares_of_a_call(call, rounds=41))
    assert share.high - share.low < 0.25
    assert share.low <= 1.1
    assert share.high >= 0.9


def shares_of_a_call(call: Call, rounds: int) -> list[float]:
    """The phases of a call over the time of another that nobody watched, just before or after."""
    found = []
    for number in range(rounds):
        times = {}
        for watched in (True, False) if number % 2 else (False, True):
            watch = Stopwatch(perf_counter)
            start = perf_counter()
            if watched:
                with observed(watch):
                    call.steps(call.prepare())
                times[watched] = sum(phase.self_s for phase in watch.phases.values())
            else:
                call.steps(call.prepare())
                times[watched] = perf_counter() - start
        found.append(times[True] / times[False])
    return found


def cost_of_a_mark() -> float:
    """Seconds that a phase with nothing in it takes under a stopwatch."""
    watch = Stopwatch(perf_counter)
    start = perf_counter()
    with observed(watch):
        for _ in range(10_000):
            with BASIS:
                pass
    return (perf_counter() - start) / 10_000

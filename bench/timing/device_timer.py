"""A running clock for pytest-benchmark and whoever else wants ``timer() - timer()``.

On CUDA it counts device time between two readings, from events, as ``clock.EventClock`` does;
elsewhere it is wall time.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from bench.timing.clock import Clock, EventClock


def timer_for(device: str) -> Callable[[], float]:
    """A function that answers seconds since some moment."""
    return RunningClock(EventClock()) if device.startswith("cuda") else perf_counter


class RunningClock:
    """The sum of a clock's spans between one reading and the next.

    Adding spans keeps them exact: events tell the time since a far moment in single precision.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: Any = None
        self._seconds = 0.0

    def __call__(self) -> float:
        """Seconds since the first reading."""
        now = self._clock.mark()
        if self._last is not None:
            self._seconds += self._clock.seconds(self._last, now)
        self._last = now
        return self._seconds

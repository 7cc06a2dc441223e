"""Clocks: a mark is a moment, and the difference of two marks is a number of seconds.

On CUDA two clocks run side by side: synchronised wall time, which is what a user waits for, and
events, which leave launch latency at both ends out. They are never mixed.
"""

from typing import Any, Protocol

import torch

from bench.errors import SpecError
from teleport_core.wall_clock import wall_clock


class Clock(Protocol):
    """Something that can mark moments."""

    name: str

    def mark(self) -> Any:
        """The present moment."""

    def seconds(self, start: Any, end: Any) -> float:
        """Time between two marks."""


class WallClock:
    """Wall time; on CUDA every mark waits until the device has finished."""

    name = "wall"

    def __init__(self, device: str) -> None:
        self._now = wall_clock(device)

    def mark(self) -> float:
        """The present moment, all queued work done."""
        return self._now()

    def seconds(self, start: float, end: float) -> float:
        """Time between two marks."""
        return end - start


class EventClock:
    """CUDA events on the current stream."""

    name = "cuda_event"

    def mark(self) -> Any:
        """An event recorded behind all queued work."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def seconds(self, start: Any, end: Any) -> float:
        """Time between two marks; waits for the later one."""
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def clocks_for(device: str) -> list[Clock]:
    """The clocks to read on a device; events first, since wall time waits for them."""
    wall = WallClock(device)
    return [EventClock(), wall] if device.startswith("cuda") else [wall]


def flush_l2(device: str) -> None:
    """Leave nothing of the last sample in the L2 cache: overwrite as many bytes as it holds.

    Call it off the clock; it returns when the device has finished.

    Raises:
        SpecError: a device that is not a CUDA device.
    """
    if not device.startswith("cuda"):
        raise SpecError(
            f"expected a CUDA device for sampling.cache = 'cold'; got {device!r}: write 'hot'"
        )
    size = torch.cuda.get_device_properties(device).L2_cache_size
    torch.zeros(size, dtype=torch.uint8, device=device)
    torch.cuda.synchronize(device)

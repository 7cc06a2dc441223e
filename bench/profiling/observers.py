"""The two observers of phases: one adds up seconds, the other names ranges in a trace."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

PHASE = "phase: "
"""Ranges of a trace whose names begin so are phases."""


@dataclass
class PhaseTime:
    """Seconds of one phase; ``self_s`` leaves out the phases within it, ``total_s`` does not."""

    calls: int = 0
    self_s: float = 0.0
    total_s: float = 0.0


class Stopwatch:
    """Adds up the wall time of phases, outside any profiler.

    A mark reads the clock once; on a device that works on by itself the clock has to wait for it,
    so that a phase is charged with what it launched.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """``now`` answers seconds."""
        self._now = now
        self._open: list[tuple[str, float]] = []
        self._since = 0.0
        self.phases: dict[str, PhaseTime] = {}

    def enter(self, name: str) -> None:
        """The phase around this one stands still from now on."""
        moment = self._charge()
        self._open.append((name, moment))

    def leave(self, name: str) -> None:
        """The phase around this one goes on."""
        moment = self._charge()
        _, start = self._open.pop()
        found = self._phase(name)
        found.calls += 1
        # Of a phase within itself only the outermost counts.
        if all(outer != name for outer, _ in self._open):
            found.total_s += moment - start

    def _charge(self) -> float:
        """Give the time since the last mark to the innermost phase."""
        moment = self._now()
        if self._open:
            self._phase(self._open[-1][0]).self_s += moment - self._since
        self._since = moment
        return moment

    def _phase(self, name: str) -> PhaseTime:
        return self.phases.setdefault(name, PhaseTime())


class TraceMarks:
    """Makes every phase a range of the running profiler, and of NVTX on a CUDA device."""

    def __init__(self, *, nvtx: bool) -> None:
        """With ``nvtx`` tools of the vendor see the phases, too."""
        self._nvtx = nvtx
        self._open: list[Any] = []

    def enter(self, name: str) -> None:
        """Open a range."""
        if self._nvtx:
            torch.cuda.nvtx.range_push(name)  # type: ignore[no-untyped-call]
        mark = torch.profiler.record_function(PHASE + name)
        mark.__enter__()  # type: ignore[no-untyped-call]
        self._open.append(mark)

    def leave(self, name: str) -> None:
        """Close it."""
        self._open.pop().__exit__(None, None, None)
        if self._nvtx:
            torch.cuda.nvtx.range_pop()  # type: ignore[no-untyped-call]

"""What a trace says: time by phase and by operator, on CPU and device, and what was launched.

A *call* is one teleport of one batch, ``prepare`` and ``steps``: two ranges that the recorder puts
around them. All numbers are means over the calls of the trace.
"""

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

from bench.profiling import trace as traces
from bench.profiling.observers import PHASE
from bench.profiling.trace import Span, Trace, covered, nest

PART = "call: "
PREPARE, STEPS = f"{PART}prepare", f"{PART}steps"
OTHER = "other"
"""What lies in a call and in no phase."""


@dataclass
class Usage:
    """Seconds per call; ``self`` leaves out what is nested, ``total`` does not."""

    calls: float = 0.0
    self_cpu_s: float = 0.0
    total_cpu_s: float = 0.0
    self_device_s: float = 0.0
    total_device_s: float = 0.0


@dataclass(frozen=True)
class Summary:
    """A trace in numbers.

    Attributes:
        calls: how many were traced.
        call_s: seconds of one, the profiler's own work included.
        phases: by name; CPU time of a phase is the time it lasted.
        operators: by (phase, name); one that only calls itself counts once, as in torch.
        device_s: time of all kernels and copies; None on a CPU.
        device_busy: share of the calls in which the device worked; None on a CPU.
        launched: kernels per call, and within its steps; on a CPU operators of the lowest level.
        memory_peaks: by device, the most bytes that a call held beyond what was there before.
    """

    calls: int
    call_s: float
    phases: dict[str, Usage]
    operators: dict[tuple[str, str], Usage]
    device_s: float | None
    device_busy: float | None
    launched: float
    launched_in_steps: float
    memory_peaks: dict[str, int]

    def to_record(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        record = asdict(self)
        record["phases"] = [{"phase": p, **asdict(u)} for p, u in self.phases.items()]
        record["operators"] = [
            {"phase": phase, "operator": name, **asdict(usage)}
            for (phase, name), usage in self.operators.items()
        ]
        return record


def summarise(trace: Trace) -> Summary:
    """The summary of a trace that holds at least one call."""
    return _Reading(trace).summary()


@dataclass
class _Reading:
    trace: Trace
    parts: list[Span] = field(init=False)
    phases: list[Span] = field(init=False)

    def __post_init__(self) -> None:
        marks = self.trace.of(traces.ANNOTATION)
        self.parts = [mark for mark in marks if mark.name.startswith(PART)]
        self.phases = [mark for mark in marks if mark.name.startswith(PHASE)]
        self.starts = [phase.start for phase in self.phases]
        self.around = nest(self.phases).parents
        self.calls = sum(part.name == STEPS for part in self.parts)

    def phases_at(self, moment: float) -> list[str]:
        """The phases at a moment, the innermost first, whatever thread they are asked for.

        Backward passes of a CUDA device run on a thread of their own while the caller waits.
        """
        found = []
        place: int | None = bisect.bisect_right(self.starts, moment) - 1
        while place is not None and place >= 0:
            if moment < self.phases[place].end:
                found.append(self.phases[place].name.removeprefix(PHASE))
            place = self.around[place]
        return found or [OTHER]

    def phase_at(self, moment: float) -> str:
        """The innermost phase at a moment."""
        return self.phases_at(moment)[0]

    def summary(self) -> Summary:
        device = self.trace.of(*traces.DEVICE_WORK)
        windows = [(part.start, part.end) for part in self.parts]
        lasted = sum(end - start for start, end in windows)
        phases = self._phase_usage()
        operators, launched, in_steps = self._operator_usage(device, phases)
        for usage in (*phases.values(), *operators.values()):
            for name, value in vars(usage).items():
                setattr(usage, name, value / self.calls)
        busy = covered([(work.start, work.end) for work in device], windows)
        return Summary(
            calls=self.calls,
            call_s=lasted / self.calls,
            phases=phases,
            operators=operators,
            device_s=sum(work.seconds for work in device) / self.calls if device else None,
            device_busy=busy / lasted if device else None,
            launched=launched / self.calls,
            launched_in_steps=in_steps / self.calls,
            memory_peaks=self._memory_peaks(),
        )

    def _phase_usage(self) -> dict[str, Usage]:
        """How long each phase lasted; parts of a call are its outermost ranges."""
        marks = sorted([*self.parts, *self.phases], key=lambda span: (span.start, -span.end))
        nesting = nest(marks)
        found: dict[str, Usage] = {}
        for place, mark in enumerate(marks):
            name = OTHER if mark.name.startswith(PART) else mark.name.removeprefix(PHASE)
            usage = found.setdefault(name, Usage())
            own = mark.seconds - nesting.inner[place]
            usage.calls += name != OTHER
            usage.self_cpu_s += own
            usage.total_cpu_s += own if name == OTHER else mark.seconds
        return found

    def _operator_usage(
        self, device: Sequence[Span], phases: dict[str, Usage]
    ) -> tuple[dict[tuple[str, str], Usage], int, int]:
        """Usage of each operator in each phase, and how much was launched: all, and in steps."""
        spans = self.trace.of(traces.OPERATOR, *traces.LAUNCHES)
        nesting = nest(spans)
        found: dict[tuple[str, str], Usage] = {}
        lowest: list[float] = []
        siblings = Counter(nesting.parents)
        for place, span in enumerate(spans):
            if span.category != traces.OPERATOR:
                continue
            usage = found.setdefault((self.phase_at(span.start), span.name), Usage())
            usage.self_cpu_s += span.seconds - nesting.inner[place]
            around = nesting.parents[place]
            if around is None or spans[around].name != span.name or siblings[around] > 1:
                usage.calls += 1
                usage.total_cpu_s += span.seconds
            if not siblings[place]:
                lowest.append(span.start)
        launches = {
            span.correlation: place
            for place, span in enumerate(spans)
            if span.category in traces.LAUNCHES
        }
        started = []
        for work in device:
            place = launches.get(work.correlation)
            moment = work.start if place is None else spans[place].start
            if work.category == traces.KERNEL:
                started.append(moment)
            names = self.phases_at(moment)
            phases.setdefault(names[0], Usage()).self_device_s += work.seconds
            for name in set(names):
                phases.setdefault(name, Usage()).total_device_s += work.seconds
            self._charge(work.seconds, place, spans, nesting.parents, found)
        counted = started if device else lowest
        return found, *self._launched(counted)

    def _charge(
        self,
        seconds: float,
        launch: int | None,
        spans: Sequence[Span],
        parents: Sequence[int | None],
        found: dict[tuple[str, str], Usage],
    ) -> None:
        """Give device time to the operator that launched the work, and to all around it."""
        place, own = launch, True
        while place is not None:
            span = spans[place]
            if span.category == traces.OPERATOR:
                usage = found[self.phase_at(span.start), span.name]
                usage.self_device_s += seconds if own else 0.0
                usage.total_device_s += seconds
                own = False
            place = parents[place]

    def _launched(self, moments: Sequence[float]) -> tuple[int, int]:
        def within(parts: Sequence[Span]) -> int:
            return sum(part.start <= m < part.end for part in parts for m in moments)

        return within(self.parts), within([part for part in self.parts if part.name == STEPS])

    def _memory_peaks(self) -> dict[str, int]:
        """Per device the highest running sum within any call."""
        peaks: dict[str, int] = {}
        for start, end in self._calls():
            by_device: dict[str, list[int]] = {}
            for change in self.trace.allocations:
                if start <= change.moment < end:
                    by_device.setdefault(change.device, []).append(change.size)
            for device, sizes in by_device.items():
                peaks[device] = max(peaks.get(device, 0), *accumulate(sizes))
        return peaks

    def _calls(self) -> list[tuple[float, float]]:
        begins = [part.start for part in self.parts if part.name == PREPARE]
        ends = [part.end for part in self.parts if part.name == STEPS]
        return list(zip(begins, ends, strict=True))

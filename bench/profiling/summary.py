"""What a trace says: time by phase and by operator, on CPU and device, and what was launched.

A *call* is one teleport of one batch. All numbers are means over the calls of the trace, with the
profiler's own work in them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from bench.profiling.memory import Curves, memory_curves, memory_peaks
from bench.profiling.observers import PHASE
from bench.profiling.stacks import Stacks, folded, most
from bench.profiling.timeline import OTHER, PART, Timeline, timeline
from bench.profiling.trace import (
    DEVICE_WORK,
    KERNEL,
    LAUNCHES,
    OPERATOR,
    Span,
    Trace,
    covered,
    nest,
)


@dataclass
class Usage:
    """Seconds; ``self`` leaves out what is nested, ``total`` does not."""

    calls: float = 0.0
    self_cpu_s: float = 0.0
    total_cpu_s: float = 0.0
    self_device_s: float = 0.0
    total_device_s: float = 0.0

    def per(self, calls: int) -> "Usage":
        """The same for one of ``calls`` calls."""
        return Usage(**{name: value / calls for name, value in asdict(self).items()})


Phases = dict[str, Usage]
Operators = dict[tuple[str, str], Usage]


@dataclass(frozen=True)
class Summary:
    """A trace in numbers; those of a device are None on a CPU."""

    calls: int
    call_s: float
    phases: Phases  # CPU time of a phase is the time it lasted
    operators: Operators  # by (phase, name); one that only calls itself counts once, as in torch
    device_s: float | None  # all kernels and copies
    device_busy: float | None  # share of the calls in which the device worked
    launched: float  # kernels per call; on a CPU operators that call no other
    launched_in_steps: float  # those of them launched after ``prepare``
    memory_peaks: dict[str, int]  # by device, bytes a call held beyond what was there before
    memory: Curves  # by device, of the last call
    stacks: Stacks  # seconds of its own of each, of a call

    def to_record(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        record["phases"] = [{"phase": p, **asdict(u)} for p, u in self.phases.items()]
        record["operators"] = [
            {"phase": phase, "operator": name, **asdict(usage)}
            for (phase, name), usage in self.operators.items()
        ]
        record["stacks"] = most(self.stacks)
        return record


class Host(NamedTuple):
    """Operators and launches of all threads in order of time, and how they nest."""

    spans: list[Span]
    parents: list[int | None]
    inner: list[float]
    children: Counter[int | None]


def summarise(trace: Trace) -> Summary:
    """The summary of a trace that holds at least one call; RunError: it holds none."""
    marks = timeline(trace)
    spans = trace.of(OPERATOR, *LAUNCHES)
    nesting = nest(spans)
    host = Host(spans, nesting.parents, nesting.inner, Counter(nesting.parents))
    work = trace.of(*DEVICE_WORK)
    phases, operators = phase_usage(marks), operator_usage(host, marks)
    started = charge_device(work, host, marks, phases, operators)
    launched = started if work else _lowest(host)
    lasted = sum(end - start for start, end in marks.windows)
    busy = covered([(w.start, w.end) for w in work], marks.windows)
    return Summary(
        calls=marks.calls,
        call_s=lasted / marks.calls,
        phases={name: usage.per(marks.calls) for name, usage in phases.items()},
        operators={name: usage.per(marks.calls) for name, usage in operators.items()},
        device_s=sum(w.seconds for w in work) / marks.calls if work else None,
        device_busy=busy / lasted if work else None,
        launched=_within(launched, marks.parts) / marks.calls,
        launched_in_steps=_within(launched, marks.steps) / marks.calls,
        memory_peaks=memory_peaks(trace.allocations, marks.whole_calls),
        memory=memory_curves(trace.allocations, marks.whole_calls),
        stacks={path: s / marks.calls for path, s in folded(spans, nesting, marks).items()},
    )


def phase_usage(marks: Timeline) -> Phases:
    """How long each phase lasted, over all calls; what no phase claims of a call is ``OTHER``."""
    spans, nesting = marks.nested()
    found: Phases = {OTHER: Usage()}
    for span, inner in zip(spans, nesting.inner, strict=True):
        own = span.seconds - inner
        if span.name.startswith(PART):
            found[OTHER].self_cpu_s += own
            found[OTHER].total_cpu_s += own
            continue
        usage = found.setdefault(span.name.removeprefix(PHASE), Usage())
        usage.calls += 1
        usage.self_cpu_s += own
        usage.total_cpu_s += span.seconds
    return found


def operator_usage(host: Host, marks: Timeline) -> Operators:
    """How long each operator took on the CPU, by the phase it began in."""
    found: Operators = {}
    for span, around, inner in zip(host.spans, host.parents, host.inner, strict=True):
        if span.category != OPERATOR:
            continue
        usage = found.setdefault((marks.phase_at(span.start), span.name), Usage())
        usage.self_cpu_s += span.seconds - inner
        only_child = around is not None and host.children[around] == 1
        if not (only_child and host.spans[around or 0].name == span.name):
            usage.calls += 1
            usage.total_cpu_s += span.seconds
    return found


def charge_device(
    work: Iterable[Span], host: Host, marks: Timeline, phases: Phases, operators: Operators
) -> list[float]:
    """Give device time to the phase and operators that launched it; when each kernel was."""
    launches = {s.correlation: i for i, s in enumerate(host.spans) if s.category in LAUNCHES}
    kernels = []
    for item in work:
        place = launches.get(item.correlation)
        moment = item.start if place is None else host.spans[place].start
        if item.category == KERNEL:
            kernels.append(moment)
        names = marks.phases_at(moment)
        phases.setdefault(names[0], Usage()).self_device_s += item.seconds
        for name in set(names):
            phases.setdefault(name, Usage()).total_device_s += item.seconds
        for depth, operator in enumerate(_operators_around(place, host)):
            usage = operators[marks.phase_at(operator.start), operator.name]
            usage.self_device_s += item.seconds if depth == 0 else 0.0
            usage.total_device_s += item.seconds
    return kernels


def _operators_around(place: int | None, host: Host) -> list[Span]:
    """The operators around a launch, the innermost first."""
    found = []
    while place is not None:
        if host.spans[place].category == OPERATOR:
            found.append(host.spans[place])
        place = host.parents[place]
    return found


def _lowest(host: Host) -> list[float]:
    """When each operator that calls no other began."""
    return [
        span.start
        for place, span in enumerate(host.spans)
        if span.category == OPERATOR and not host.children[place]
    ]


def _within(moments: Sequence[float], parts: Sequence[Span]) -> int:
    return sum(part.start <= moment < part.end for part in parts for moment in moments)

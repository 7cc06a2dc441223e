"""A trace as torch's profiler writes it: spans of threads and devices, and how they nest."""

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import RunError

Event = dict[str, Any]

OPERATOR = "cpu_op"
ANNOTATION = "user_annotation"
LAUNCHES = ("cuda_runtime", "cuda_driver")
DEVICE_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
KERNEL = "kernel"
STEP = "ProfilerStep#"

_MICROSECOND = 1e-6


class Span(NamedTuple):
    """Something that lasted, on one thread or one stream; seconds from the start of the trace."""

    name: str
    category: str
    start: float
    end: float
    thread: tuple[Any, Any]
    correlation: int | None = None

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


class Allocation(NamedTuple):
    """Bytes taken (or given back, where negative) at a moment; the device is cpu, cuda:0, ..."""

    moment: float
    device: str
    size: int


@dataclass(frozen=True)
class Trace:
    """The parts of a trace that the summary needs, in order of time."""

    spans: list[Span]
    allocations: list[Allocation]

    def of(self, *categories: str) -> list[Span]:
        """Spans of these categories."""
        return [span for span in self.spans if span.category in categories]


def load(path: Path) -> Event:
    """The JSON of a trace file, compressed or not; RunError: no trace."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise RunError(f"expected a trace of torch.profiler at {path}; {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("traceEvents"), list):
        raise RunError(f"expected traceEvents in {path}; it holds none")
    return found


def parse(document: Event) -> Trace:
    """Spans and allocations of a trace document, whose times are in microseconds."""
    events = document["traceEvents"]
    lasting = [event for event in events if event.get("ph") == "X" and "cat" in event]
    zero = min((float(event["ts"]) for event in lasting), default=0.0)
    spans = [_span(event, zero) for event in lasting]
    changes = [_allocation(e, zero) for e in events if e.get("name") == "[memory]"]
    return Trace(in_order(spans), sorted(changes))


def in_order(spans: Iterable[Span]) -> list[Span]:
    """By start; of those that start together the longest first, since it holds the others."""
    return sorted(spans, key=lambda span: (span.start, -span.end))


def _span(event: Event, zero: float) -> Span:
    start = (float(event["ts"]) - zero) * _MICROSECOND
    length = float(event.get("dur", 0.0)) * _MICROSECOND
    correlation = event.get("args", {}).get("correlation")
    thread = (event.get("pid"), event.get("tid"))
    return Span(event["name"], event["cat"], start, start + length, thread, correlation)


def _allocation(event: Event, zero: float) -> Allocation:
    facts = event["args"]
    on_cpu = facts.get("Device Type") == 0
    device = "cpu" if on_cpu else f"cuda:{facts.get('Device Id')}"
    return Allocation((float(event["ts"]) - zero) * _MICROSECOND, device, int(facts["Bytes"]))


class Nesting(NamedTuple):
    """For each span: the place of the span around it, and the seconds of the spans within it."""

    parents: list[int | None]
    inner: list[float]


def nest(spans: Sequence[Span]) -> Nesting:
    """Nest spans, which are in order of time, within each thread by their times.

    A span that outlasts the one it began in, as a profiler sometimes writes, counts as inner time
    only as far as it lies within.
    """
    parents: list[int | None] = [None] * len(spans)
    inner = [0.0] * len(spans)
    open_spans: dict[tuple[Any, Any], list[int]] = {}
    for place, span in enumerate(spans):
        stack = open_spans.setdefault(span.thread, [])
        while stack and spans[stack[-1]].end <= span.start:
            stack.pop()
        if stack:
            parent = stack[-1]
            parents[place] = parent
            inner[parent] += min(span.end, spans[parent].end) - span.start
        stack.append(place)
    return Nesting(parents, inner)


def covered(spans: Iterable[tuple[float, float]], windows: Iterable[tuple[float, float]]) -> float:
    """Seconds within ``windows`` (disjoint) in which at least one of ``spans`` is under way."""
    merged: list[list[float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return sum(
        max(0.0, min(end, window_end) - max(start, window_start))
        for window_start, window_end in windows
        for start, end in merged
    )

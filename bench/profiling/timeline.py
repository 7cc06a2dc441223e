"""The calls and phases of a trace, and which phase a moment lies in."""

import bisect
from dataclasses import dataclass, field

from bench.errors import RunError
from bench.profiling.observers import PHASE
from bench.profiling.trace import ANNOTATION, Nesting, Span, Trace, in_order, nest

PART = "call: "
PREPARE, STEPS = f"{PART}prepare", f"{PART}steps"
OTHER = "other"
"""What lies in a call and in no phase."""


@dataclass(frozen=True)
class Timeline:
    """The marks of a trace: ``parts`` are ``PREPARE`` and ``STEPS`` of every call.

    The methods' phases may nest; ``around`` is for each the place of the one around it.
    """

    parts: list[Span]
    phases: list[Span]
    around: list[int | None]
    starts: list[float] = field(repr=False)

    @property
    def calls(self) -> int:
        """How many calls were traced."""
        return len(self.steps)

    @property
    def steps(self) -> list[Span]:
        """The part of each call that takes the steps."""
        return [part for part in self.parts if part.name == STEPS]

    @property
    def windows(self) -> list[tuple[float, float]]:
        """Start and end of every part."""
        return [(part.start, part.end) for part in self.parts]

    @property
    def whole_calls(self) -> list[tuple[float, float]]:
        """Start and end of every call."""
        begins = [part.start for part in self.parts if part.name == PREPARE]
        return list(zip(begins, (part.end for part in self.steps), strict=True))

    def nested(self) -> tuple[list[Span], Nesting]:
        """Parts and phases in order of time, and how they nest."""
        marks = in_order([*self.parts, *self.phases])
        return marks, nest(marks)

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


def timeline(trace: Trace) -> Timeline:
    """The calls and phases of a trace; RunError: it holds no call."""
    marks = trace.of(ANNOTATION)
    parts = [mark for mark in marks if mark.name.startswith(PART)]
    phases = [mark for mark in marks if mark.name.startswith(PHASE)]
    if not any(part.name == STEPS for part in parts):
        raise RunError(f"expected ranges {PREPARE!r} and {STEPS!r} in the trace; it holds none")
    return Timeline(parts, phases, nest(phases).parents, [phase.start for phase in phases])

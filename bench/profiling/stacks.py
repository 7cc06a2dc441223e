"""Which operators within which phases took the time of a call: folded stacks, for a flame graph.

One line a stack, outermost first, with the microseconds in which it and nothing deeper ran:
``basis;aten::linalg_svd;aten::_linalg_svd 1234``. Brendan Gregg's flamegraph.pl, speedscope and
inferno read such files.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.profiling.timeline import Timeline
from bench.profiling.trace import OPERATOR, Nesting, Span

MOST = 400
"""Stacks that a record keeps, those with most time; the file has all of them."""

Stack = tuple[str, ...]
Stacks = dict[Stack, float]

_MICROSECOND = 1e-6


def folded(spans: Sequence[Span], nesting: Nesting, marks: Timeline) -> Stacks:
    """Stack -> seconds of its own over all calls; times are those of the caller and the CPU.

    A phase's own time is what none of the operators that began in it took.

    Args:
        spans: operators and launches of all threads, in order of time.
        nesting: how they nest.
        marks: the phases.
    """
    found: Stacks = {}
    within: dict[Stack, float] = {}
    paths: list[Stack] = []
    for span, around, inner in zip(spans, nesting.parents, nesting.inner, strict=True):
        phases = tuple(reversed(marks.phases_at(span.start)))
        path = paths[around] if around is not None else phases
        if span.category == OPERATOR:
            path = (*path, span.name)
        paths.append(path)
        found[path] = found.get(path, 0.0) + span.seconds - inner
        if around is None and _is_inside(span, marks):
            within[phases] = within.get(phases, 0.0) + span.seconds
    for path, seconds in _phases(marks).items():
        own = seconds - within.get(path, 0.0)
        if own > 0:
            found[path] = found.get(path, 0.0) + own
    return {path: seconds for path, seconds in found.items() if seconds > 0}


def _is_inside(span: Span, marks: Timeline) -> bool:
    return any(start <= span.start < end for start, end in marks.windows)


def _phases(marks: Timeline) -> Stacks:
    """How long each phase lasted without those within it, by its path."""
    spans, nesting = marks.nested()
    found: Stacks = {}
    for span, inner in zip(spans, nesting.inner, strict=True):
        path = tuple(reversed(marks.phases_at(span.start)))
        found[path] = found.get(path, 0.0) + span.seconds - inner
    return found


def most(stacks: Mapping[Stack, float], count: int = MOST) -> list[dict[str, object]]:
    """The stacks with most time, as JSON values."""
    chosen = sorted(stacks, key=lambda stack: (-stacks[stack], stack))[:count]
    return [{"stack": list(stack), "seconds": stacks[stack]} for stack in sorted(chosen)]


def write(path: Path, stacks: Mapping[Stack, float]) -> Path:
    """The file of folded stacks, replaced in one move; those below half a microsecond are left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        draft.write_text("".join(_lines(stacks)), encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _lines(stacks: Mapping[Stack, float]) -> Iterable[str]:
    for stack in sorted(stacks):
        count = round(stacks[stack] / _MICROSECOND)
        if count:
            names = (" ".join(name.replace(";", ",").split()) for name in stack)
            yield f"{';'.join(names)} {count}\n"

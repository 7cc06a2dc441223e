"""What a method is doing right now, for whoever watches: next to nothing is paid while nobody does.

A method writes ``with BASIS:`` around a part of its work. Phases may nest; what lies in an inner
phase belongs to it alone. ``bench.profiling`` has two observers: one names ranges in a trace, the
other adds up seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Observer(Protocol):
    """Told when phases begin and end, in the order of their nesting."""

    def enter(self, name: str) -> None:
        """A phase begins."""

    def leave(self, name: str) -> None:
        """The phase that began last ends, by an exception perhaps."""


_observer: Observer | None = None


class Phase:
    """A part of a method's work; one object serves every place and every depth."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        if _observer is not None:
            _observer.enter(self.name)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if _observer is not None:
            _observer.leave(self.name)


CAPTURE = Phase("capture")
BASIS = Phase("basis")
PSEUDO_INVERSE = Phase("pseudo-inverse")
INVERSE = Phase("inverse")
FORWARD = Phase("forward")
BACKWARD = Phase("backward")
DOUBLE_BACKWARD = Phase("double backward")
TANGENT = Phase("tangent")
PROJECTION = Phase("projection")
UPDATE = Phase("update")
CHECK = Phase("check")
GRAPH = Phase("graph")  # all steps at once, replayed as one CUDA graph


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Show the phases of everything within to ``observer``, in this process; does not nest.

    Raises:
        RuntimeError: somebody is watching already.
    """
    global _observer  # noqa: PLW0603  (one switch, so that a mark costs nothing while it is off)
    if _observer is not None:
        raise RuntimeError("expected one observer of phases at a time; there is one already")
    _observer = observer
    try:
        yield
    finally:
        _observer = None

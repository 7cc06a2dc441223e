"""Whether the parts of a profile are what its tables expect; a journal may come from anybody."""

import re
from collections.abc import Callable
from typing import Any

_INSIDE = re.compile(r"profiles/[A-Za-z0-9_./-]+")

_TIMED = ("calls", "self_s", "total_s")
_USED = ("calls", "self_cpu_s", "total_cpu_s", "self_device_s", "total_device_s")
_TRACED = ("calls", "call_s", "launched", "launched_in_steps")
_ON_DEVICE = ("device_s", "device_busy")


def is_inside(value: Any) -> bool:
    """A path under ``profiles/``: a link on the page leads nowhere else."""
    return type(value) is str and bool(_INSIDE.fullmatch(value)) and ".." not in value.split("/")


def are_phases(value: Any) -> bool:
    """Phases of the stopwatch."""
    return _are_rows(value, ("phase",), _TIMED)


def is_trace(value: Any) -> bool:
    """The summary of a trace: phases, operators, peaks of memory and numbers."""
    if type(value) is not dict:
        return False
    peaks = value.get("memory_peaks")
    return (
        _are_rows(value.get("phases"), ("phase",), _USED)
        and _are_rows(value.get("operators"), ("phase", "operator"), _USED)
        and all(_is_number(value.get(name)) for name in _TRACED)
        and all(value.get(n) is None or _is_number(value[n]) for n in _ON_DEVICE)
        and type(peaks) is dict
        and all(type(size) is int and size >= 0 for size in peaks.values())
    )


def _are_rows(value: Any, texts: tuple[str, ...], numbers: tuple[str, ...]) -> bool:
    def holds(row: Any, names: tuple[str, ...], test: Callable[[Any], bool]) -> bool:
        return type(row) is dict and all(test(row.get(name)) for name in names)

    return type(value) is list and all(
        holds(row, texts, lambda item: type(item) is str) and holds(row, numbers, _is_number)
        for row in value
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**53

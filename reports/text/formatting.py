"""Numbers as a reader wants them: three digits, a sensible unit, a dash where nothing is known."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from bench.spec.axes import AXES

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TIME_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTE_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
# What each letter of the papers stands for, short enough for the head of a column.
WORDS = {
    "t": "teleport steps",
    "d": "hidden width",
    "n": "batch size",
    "l": "weight layers",
    "b": "teleport batches",
}
_COUNTED = {
    "t": ("{} teleport step", "{} teleport steps"),
    "d": ("hidden width {}", "hidden width {}"),
    "n": ("batches of {}", "batches of {}"),
    "l": ("{} weight layer", "{} weight layers"),
    "b": ("{} teleport batch", "{} teleport batches"),
}
_THIN = "\N{NARROW NO-BREAK SPACE}"
_NBSP = "\N{NO-BREAK SPACE}"


def number(value: float) -> str:
    """Three significant digits; thousands set apart; powers of ten where digits would not do."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e6 or size < 1e-3:
        return power(value)
    if size >= 999.5:
        return whole(round(value))
    decimals = max(0, 2 - math.floor(math.log10(float(f"{size:.2e}"))))
    return _minus(f"{value:.{decimals}f}")


def whole(value: int) -> str:
    """A whole number with its thousands set apart by a thin space."""
    return _minus(f"{value:,}".replace(",", _THIN))


def small(value: float) -> str:
    """A number that is often tiny: two digits times a power of ten, but 0.042 and 19.3 as such."""
    return number(value) if value == 0 or 1e-2 <= abs(value) < 1e4 else power(value)


def power(value: float) -> str:
    """Scientific notation with two digits, 3.2 times a power of ten written as one."""
    if not math.isfinite(value) or value == 0:
        return number(value)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{_minus(mantissa)}{_NBSP}{TIMES}{_NBSP}10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def power_of_ten(exponent: int) -> str:
    """``10⁻³`` in plain characters, for an axis."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def seconds(value: float) -> str:
    """A time in the unit that leaves one to three digits before the point."""
    if not math.isfinite(value):
        return number(value)
    scale, unit = _unit(value)
    return f"{number(value / scale)}{_NBSP}{unit}"


def seconds_interval(value: float, low: float, high: float) -> str:
    """A time and its interval in one unit, ``12.3 ms [11.9, 13.0]``; no interval if unknown."""
    scale, _ = _unit(value)
    return seconds(value) + _bracket(low / scale, high / scale)


def interval(value: float, low: float, high: float) -> str:
    """A number and its interval, ``3.10 [2.95, 3.31]``; no interval if unknown."""
    return number(value) + _bracket(low, high)


def _bracket(low: float, high: float, write: Callable[[float], str] = number) -> str:
    """`` [low, high]``, kept on one line; nothing if unknown."""
    known = math.isfinite(low) and math.isfinite(high)
    return f" [{write(low)},{_NBSP}{write(high)}]" if known else ""


def percent(share: float) -> str:
    """A share of one as a percentage."""
    return number(100 * share) + (f"{_NBSP}%" if math.isfinite(share) else "")


def percent_interval(share: float, low: float, high: float) -> str:
    """A share of one and its interval as percentages, ``1.20 % [1.15, 1.31]``."""
    return percent(share) + _bracket(100 * low, 100 * high)


def memory(size: float) -> str:
    """A size in bytes in its largest binary unit."""
    if not math.isfinite(size):
        return DASH
    scale, unit = next((pair for pair in _BYTE_UNITS if size >= pair[0]), _BYTE_UNITS[-1])
    return f"{number(size / scale)}{_NBSP}{unit}"


def point(levels: Mapping[str, Any]) -> str:
    """A point of the sweep, ``teleport steps t = 8, hidden width d = 512``, letters with words."""
    return ", ".join(
        f"{WORDS[axis]} {axis}{_NBSP}={_NBSP}{levels[axis]}" for axis in AXES if axis in levels
    )


def in_words(levels: Mapping[str, Any], axes: str) -> str:
    """Some levels of a point as a sentence has them, ``8 teleport steps, hidden width 512``."""
    return ", ".join(
        _COUNTED[axis][levels[axis] != 1].format(levels[axis]) for axis in axes if axis in levels
    )


def tick_seconds(value: float) -> str:
    """A round time on an axis, ``100 ms``."""
    scale, unit = _unit(value)
    return f"{value / scale:.6g} {unit}"


def tick_number(value: float) -> str:
    """A round number on an axis, ``20`` or a power of ten."""
    if 1e-3 <= value < 1e5:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = power_of_ten(int(exponent))
    return power if mantissa == "1" else f"{mantissa}{TIMES}{power}"


def slope(value: float) -> str:
    """An exponent or a slope: two decimals."""
    # Adding 0.0 turns -0.0 into 0.0.
    return _minus(f"{round(value, 2) + 0.0:.2f}") if math.isfinite(value) else DASH


def slope_interval(value: float, low: float, high: float) -> str:
    """An exponent or a slope with its interval, ``0.31 [0.25, 0.38]``."""
    return slope(value) + _bracket(low, high, slope)


def levels(axis: str, lowest: int | None, highest: int | None) -> str:
    """The range of a sweep, ``hidden width d = 32 to 512``."""
    return f"{WORDS[axis]} {axis}{_NBSP}={_NBSP}{lowest}{_NBSP}to{_NBSP}{highest}"


def tau(value: float) -> str:
    """A threshold as it was typed: 1, 0.9999, 0.99; a dash where the method chose its own."""
    return DASH if math.isnan(value) else f"{value:.10g}"


def listed(words: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _unit(value: float) -> tuple[float, str]:
    size = abs(value) or 1.0
    return next((pair for pair in _TIME_UNITS if size >= 0.9995 * pair[0]), _TIME_UNITS[-1])


def _minus(digits: str) -> str:
    return digits.replace("-", MINUS)

"""Refuse options outside their range, in a sentence that says what was expected."""

from math import isnan

from teleport_core.errors import OptionError


def require_int(name: str, value: object, *, at_least: int) -> None:
    """Raise OptionError unless ``value`` is an int of at least ``at_least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise OptionError(f"expected {name} to be a whole number >= {at_least}; got {value!r}")


def require_positive(name: str, value: object) -> None:
    """Raise OptionError unless ``value`` is a number > 0 (infinity allowed)."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or isnan(float(value)) or float(value) <= 0:  # type: ignore[arg-type]
        raise OptionError(f"expected {name} to be a number > 0; got {value!r}")


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise OptionError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise OptionError(f"expected {name} to be one of {', '.join(choices)}; got {value!r}")

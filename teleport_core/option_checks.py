"""Read options, those of numpy and torch too; refuse what lies outside their range.

Each function returns the plain Python value, with which a call is the same to the last bit.
"""

import operator
from contextlib import suppress
from math import inf, isnan
from typing import Any

from teleport_core.errors import OptionError


def require_int(name: str, value: object, *, at_least: int) -> int:
    """The int, of Python, numpy or a tensor without dimensions, of at least ``at_least``.

    Raises:
        OptionError: it is none, or smaller.
    """
    plain = _plain(value)
    number = None
    if not isinstance(plain, bool):
        with suppress(TypeError):
            number = operator.index(plain)
    if number is None or number < at_least:
        kind = f" ({type(value).__name__})" if number is None else ""
        raise OptionError(
            f"expected {name} to be a whole number >= {at_least}; got {value!r}{kind}"
        )
    return number


def require_positive(name: str, value: object) -> float:
    """The number > 0 as a float, infinity allowed.

    Raises:
        OptionError: it is no number, NaN, or not positive.
    """
    number = as_float(value)
    if number is None or isnan(number) or number <= 0:
        raise OptionError(f"expected {name} to be a number > 0; got {value!r}")
    return number


def require_bool(name: str, value: object) -> bool:
    """True or False.

    Raises:
        OptionError: it is neither.
    """
    plain = _plain(value)
    if not isinstance(plain, bool):
        raise OptionError(f"expected {name} to be True or False; got {value!r}")
    return plain


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of ``choices``.

    Raises:
        OptionError: it is another, or no text.
    """
    if not isinstance(value, str) or value not in choices:
        raise OptionError(f"expected {name} to be one of {', '.join(choices)}; got {value!r}")
    return str(value)


def as_float(value: object) -> float | None:
    """A real number as a float, too large a one as infinity; None for anything else."""
    plain = _plain(value)
    if isinstance(plain, bool) or not hasattr(plain, "__float__"):
        return None
    try:
        return float(plain)
    except OverflowError:
        return inf if plain > 0 else -inf
    except (TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """What a scalar of numpy or of torch holds; None for several numbers, or one without value."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return value
    with suppress(RuntimeError):  # on the device "meta"
        return value.item() if shape == () else None
    return None

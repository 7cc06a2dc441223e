"""Times in plain characters, for terminals and exports; the page writes them with its own signs."""

from math import isfinite, isnan


def seconds(value: float) -> str:
    """A measured time in the unit that suits it, three digits; "-" where it is not known."""
    if not isfinite(value):
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def duration(value: float) -> str:
    """How long something takes, for somebody who waits: 45 s, 12 min, 1.5 h."""
    if isnan(value):
        return "unknown"
    if value < 90:
        return f"{max(value, 1):.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"

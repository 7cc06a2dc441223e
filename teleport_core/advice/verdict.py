"""What an advice comes to, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teleport_core.advice.advice import Advice


def percent(share: float) -> str:
    """A share for a reader: two digits, and never 0 or 100 for what is neither."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 or 0.99 < share < 1 else f"{100 * share:.0f} %"


def verdict(advice: Advice) -> str:
    """Whether something is free at the loader's batch size, and what to change where nothing is."""
    if not advice.layers:
        return "Nothing can move: no weight is only ever multiplied with its inputs."
    own = advice.own_size
    here = advice.share(own)
    if here:
        start = f"At {samples(own)} {percent(here)} of all directions are free to move"
        full = next((n for n in advice.sizes if n > own and not advice.share(n)), None)
        if full is None:
            return f"{start} at tau = 1."
        advised = " or ".join([f"batches of up to {_below(advice, full)}", *_tau(advice, full)])
        return f"{start}; from {samples(full)} on nothing is at tau = 1: use {advised}."
    start = f"At {samples(own)} nothing is free to move at tau = 1"
    below, tau = _below(advice, own), _tau(advice, own)
    if below is None:
        advised = "".join(tau) or "a wider model"
        return f"{start}, nor at any smaller size looked at: use {advised}."
    room = f"batches of up to {below} ({percent(advice.share(below))} free)"
    return f"{start}: use {' or '.join([room, *tau])}."


def _below(advice: Advice, full: int) -> int | None:
    """The largest size below ``full`` at which something is free."""
    sizes = [size for size in advice.sizes if size < full and advice.share(size)]
    return max(sizes, default=None)


def _tau(advice: Advice, size: int) -> list[str]:
    """The tightest tau that frees something at ``size``, if one does."""
    freed = {tau: share for tau in advice.taus if (share := advice.share(size, tau))}
    return [
        f"tau = {tau:g}, which frees {percent(freed[tau])} at {samples(size)}"
        for tau in sorted(freed, reverse=True)[:1]
    ]


def samples(size: int) -> str:
    """A number of them, as text."""
    return "1 sample" if size == 1 else f"{size} samples"

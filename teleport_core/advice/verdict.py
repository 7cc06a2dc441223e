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
    if all(layer.data_fed for layer in advice.layers):
        return "Nothing can move: data alone feeds every layer."
    own = advice.own_size
    here = advice.share(own)
    full = next((size for size in advice.sizes if not advice.share(size)), None)
    if here:
        start = f"At {samples(own)} {percent(here)} of all directions are free"
        if full is None:
            return f"{start} at tau = 1."
        below = _below(advice, full)
        end = f"use batches of up to {below}{_or_tau(advice, full)}"
        return f"{start}; from {samples(full)} on nothing is free at tau = 1: {end}."
    start = f"At {samples(own)} nothing is free at tau = 1"
    below = _below(advice, own if full is None else full)
    if below is None:
        other = _or_tau(advice, own).removeprefix(", or ")
        end = f"use {other}." if other else "a smaller batch or a wider model has more room."
        return f"{start}, nor at any smaller size looked at: {end}"
    room = percent(advice.share(below))
    return f"{start}: use batches of up to {below} ({room} free){_or_tau(advice, own)}."


def _below(advice: Advice, full: int) -> int | None:
    """The largest size below ``full`` at which something is free."""
    sizes = [size for size in advice.sizes if size < full and advice.share(size)]
    return max(sizes, default=None)


def _or_tau(advice: Advice, size: int) -> str:
    """The tightest tau that frees something at ``size``."""
    for tau in advice.taus:
        share = advice.share(size, tau)
        if share:
            return f", or tau = {tau:g} ({percent(share)} free, not exactly)"
    return ""


def samples(size: int) -> str:
    """A number of them, as text."""
    return "1 sample" if size == 1 else f"{size} samples"

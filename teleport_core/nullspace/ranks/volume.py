"""Which of two exchanges is the smaller one, and what a step of a chain sends, in closed form.

With n columns on this rank, N on all R, f = (R-1)/R, a layer [out, features] that has a column of
ones for its bias: a gather of columns brings a rank f N numbers per row on average, a sum of
matrices 2 f numbers per entry (ring collectives).

    gradient   D [out, N]                   or  G [out, features]
    update     P R{X} [features, N]         or  U [out, features]
               and D [out, N] where it was not gathered for the gradient

The same sums for all ranks, so that all choose alike.
"""

from typing import NamedTuple


class Way(NamedTuple):
    """Of one layer: whether columns are gathered (thin), or matrices summed (dense)."""

    thin_gradient: bool
    thin_update: bool


def way(out: int, features: int, columns: int, *, moves: bool) -> Way:
    """The way that sends the fewest numbers in a step; where two send as many, sums."""
    ways = [Way(gradient, update) for gradient in (False, True) for update in (False, True)]
    possible = [one for one in ways if moves or not one.thin_update]
    return min(possible, key=lambda one: floats(one, out, features, columns, moves=moves))


def way_of_last(out: int, features: int, columns: int, *, moves: bool, gathered: bool) -> Way:
    """Likewise for the last layer, whose D stays: it is sent once, as G is for its norm.

    ``gathered`` says whether its inputs were, for their basis.
    """
    update = moves and columns < 2 * out
    once = columns * (0 if update else out) + columns * (0 if gathered else features)
    return Way(once < 2 * out * features, update)


def floats(chosen: Way, out: int, features: int, columns: int, *, moves: bool) -> int:
    """What a layer that is not the last sends in a step, in units of f."""
    sent = out * columns if chosen.thin_gradient else 2 * out * features
    if not moves:
        return sent
    if not chosen.thin_update:
        return sent + 2 * out * features
    return sent + features * columns + (0 if chosen.thin_gradient else out * columns)


def floats_of_last(chosen: Way, out: int, features: int, columns: int, *, moves: bool) -> int:
    """Likewise the last layer."""
    if not moves:
        return 0
    return features * columns if chosen.thin_update else 2 * out * features

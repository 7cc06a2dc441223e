"""Operation counts of a symmetry teleport; see ``teleport_core.operations`` for what counts.

A pair of layers has i inputs (the ones row included), o hidden units and q outputs. A step is H g
by double backward, backward through a sweep over the pairs, and a second sweep that moves them.
Autograd leaves out what reaches no T: the first pair's weights and data, the last pair's output.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

from teleport_core import operations as of
from teleport_core.operations import NOTHING, Operations, Phases

Pair = tuple[int, int, int]


def symmetry_operations(
    acts_on: str, published: bool, widths: Sequence[int], n: int, *, bias: bool, itemsize: int
) -> Phases:
    """Operations of ``prepare`` and of a step, for (d_0, ..., d_L) and n columns."""
    layers = [(i + bias, o) for i, o in pairwise(widths)]
    pairs = [(i, o, q) for (i, o), q in zip(layers, widths[2:], strict=False)]
    prepare = NOTHING
    if acts_on == "activations":
        prepare = of.pinv(layers[0][0], n)
        parts = _on_activations(pairs, n, itemsize, published)
    else:
        if published:
            prepare = of.total(of.product(i, o, n, itemsize) + of.pinv(i, n) for i, o, _ in pairs)
        parts = _on_preactivations(pairs, n, itemsize, published)
    if not pairs:
        return {"prepare": prepare, "step": NOTHING}
    return {"prepare": prepare, "step": of.double_backward(layers, n, itemsize) + of.total(parts)}


def _on_preactivations(
    pairs: Sequence[Pair], n: int, itemsize: int, published: bool
) -> Iterator[Operations]:
    """Two sweeps and backward through one, as (sweeps + backward) for each product."""
    # The released code does not differentiate the hidden activations, which it caches and moves.
    mm = partial(of.product, itemsize=itemsize)
    for m, (i, o, q) in enumerate(pairs):
        first, last = m == 0, m == len(pairs) - 1
        yield mm(i, o, n) * (2 + (0 if first else 1 if published else 2))  # V h
        yield (mm(o, o, n) + mm(o, o, i)) * (2 + (1 if first else 2))  # g V h and g V
        yield mm(q, o, n) * (4 + (1 if first and published else 3))  # U s(V h) pinv(s(g V h))
        yield of.pinv(o, n) * 2 + _pinv_backward(o, n, itemsize)
        if published and not last:
            yield mm(o, o, n) * 2  # g h and pinv(h) g^-1


def _on_activations(
    pairs: Sequence[Pair], n: int, itemsize: int, published: bool
) -> Iterator[Operations]:
    """Two sweeps and backward through one, as (sweeps + backward) for each product."""
    # The released code differentiates the gradient through the sweep too: twice backward, the
    # pseudo-inverses included. It applies I - T for g^-1, ours solves.
    mm = partial(of.product, itemsize=itemsize)
    for m, (i, o, q) in enumerate(pairs):
        first, last = m == 0, m == len(pairs) - 1
        # V h, s^-1(g s(V h)) pinv(h) and the refreshed V h; then what the next pair makes of it.
        yield mm(i, o, n) * (6 + (1 if first else 13 if published else 4))
        if not last:
            yield mm(i, o, n) * ((3 if published else 1) if first else (8 if published else 2))
        yield mm(o, o, n) * (2 + (1 if first else 5 if published else 2))  # g s(V h)
        yield mm(q, o, o) * 2 + (mm(q, o, o) if published else of.solve(o, q))  # U g^-1
        if not first:
            yield of.pinv(i, n) * 2 + _pinv_backward(i, n, itemsize) * (4 if published else 1)


def _pinv_backward(rows: int, n: int, itemsize: int) -> Operations:
    """Torch's derivative of a pseudo-inverse of [rows, n]: eight products."""
    # Half of them are square in the larger extent when there are more rows than columns.
    tall = of.product(rows, rows, n, itemsize) * 4
    return tall + (of.product(rows, n, n, itemsize) * 4 if rows > n else tall)

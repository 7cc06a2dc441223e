"""One ascent step: search T from the identity, apply it. Ours is exact, two are as released.

The variants differ in their inverse, in their hidden activations and in their rate: ours climbs
1/2 ||g||^2 as every method here does, the authors' code climbs ||g||^2, hence 2 lr.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from baselines.symmetry.actions import (
    Swept,
    smallest_rank,
    sweep_activations,
    sweep_preactivations,
    times_g,
    times_inverse,
)
from baselines.symmetry.search import Batch, Sweep, slope
from teleport_core.ascent import Point
from teleport_core.phases import CHECK, UPDATE
from teleport_core.problem import Parameters

Visit = Callable[[Parameters], Point]


def exact_visit(batch: Batch, input_pinv: Tensor | None, lr: float, ranks: list[Tensor]) -> Visit:
    """Steps T = lr d(1/2 ||g||^2)/dT with true inverses and refreshed hidden activations.

    With ``input_pinv`` by the 2022 action, without by the 2023 action. Each step appends the
    smallest rank among the matrices it inverted to ``ranks``.
    """
    search, apply = exact_sweeps(batch, input_pinv)

    def after(swept: Swept, T: Sequence[Tensor]) -> None:
        ranks.append(smallest_rank(swept.inverted))

    return _visit(batch, search, apply, lr, after)


def exact_sweeps(batch: Batch, input_pinv: Tensor | None) -> tuple[Sweep, Sweep]:
    """How an exact step is searched, and how it is applied."""
    if input_pinv is None:
        search = partial(sweep_preactivations, batch.mlp, batch.inputs, keep_rest=True)
        return search, search
    sweep = partial(sweep_activations, batch.mlp, batch.inputs, input_pinv, keep_rest=True)
    # At T = 0 the derivatives of I - T and of (I + T)^-1 agree, and I - T is free.
    return partial(sweep, inverse="first_order"), partial(sweep, inverse="true")


def published_2022_visit(batch: Batch, input_pinv: Tensor, lr: float) -> Visit:
    """Steps T = lr dJ/dT with I - T for g^-1.

    The search recomputes the hidden activations with the moved weights and differentiates the
    loss through them; the application takes those of the weights before the step. Only so are the
    losses of the authors' regression demo repeated.
    """
    search = partial(sweep_activations, batch.mlp, batch.inputs, input_pinv, inverse="first_order")

    def apply(matrices: Sequence[Tensor], T: Sequence[Tensor]) -> Swept:
        return search(matrices, T, cached=batch.mlp.layer_inputs(matrices, batch.inputs))

    return _visit(batch, search, apply, 2 * lr, through_sweep=True)


def published_2023_visit(
    batch: Batch, hidden: Sequence[Tensor], hidden_pinv: Sequence[Tensor], lr: float
) -> Visit:
    """Steps T = lr dJ/dT with hidden activations cached over all steps.

    ``hidden`` and ``hidden_pinv`` are the inputs of the pairs and their pseudo-inverses before the
    first step. Each step moves them as the 2022 action would, h <- (I + T) h, h^+ <- h^+ (I - T).
    The action never reads h^+; computing it belongs to what the method costs.
    """
    h, h_pinv = list(hidden), list(hidden_pinv)
    sweep = partial(sweep_preactivations, batch.mlp, batch.inputs, cached=h)

    def after(swept: Swept, T: Sequence[Tensor]) -> None:
        for m in range(1, len(h)):
            h[m] = times_g(h[m], T[m - 1])
            h_pinv[m] = times_inverse(h_pinv[m], T[m - 1], "first_order")

    return _visit(batch, sweep, sweep, 2 * lr, after)


def _visit(
    batch: Batch,
    search: Sweep,
    apply: Sweep,
    rate: float,
    after: Callable[[Swept, Sequence[Tensor]], None] | None = None,
    *,
    through_sweep: bool = False,
) -> Visit:
    """Differentiate at search(W, 0), move to apply(W, rate d(1/2 ||g||^2)/dT)."""

    def visit(parameters: Parameters) -> Point:
        matrices = list(parameters.values())
        here = slope(batch, search, matrices, through_sweep=through_sweep)

        def move() -> Parameters | None:
            derivatives = here.derivative()
            with UPDATE:
                T = [rate * derivative for derivative in derivatives]
            with CHECK:
                if not any(bool(t.any()) for t in T):
                    return None
            with UPDATE, torch.no_grad():
                swept = apply(matrices, T)
                if after is not None:
                    after(swept, T)
            return dict(zip(parameters, swept.matrices, strict=True))

        return Point(here.loss, here.grad_norm_sq, move)

    return visit

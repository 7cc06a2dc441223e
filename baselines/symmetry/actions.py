"""The two group actions, and a sweep of them over all hidden layers; pure functions.

A pair is two consecutive layers (V, U) with input h of V; g = I + T acts on the hidden layer
between them. ``cached`` chooses the hidden activations of a sweep: None recomputes them with the
weights that the sweep has moved already ("refreshed"); a list, one entry per pair, is used as it
is ("stale"). Stale ones miss the output by an error of first order in T.

The papers' formulas take from the weights what no sample of the batch sees, even at g = I. With
``keep_rest`` that part stays: of all weights with the same outputs on the batch those nearest to
the old ones are taken, and g = I moves nothing.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from baselines.symmetry.mlp import MLP, with_bias_of, with_ones
from teleport_core.errors import ModelError
from teleport_core.phases import INVERSE, PSEUDO_INVERSE
from teleport_core.stack import Elementwise

Inverse = Literal["true", "first_order"]


class Swept(NamedTuple):
    """Moved matrices [W b], and every matrix that was inverted with its pseudo-inverse."""

    matrices: list[Tensor]
    inverted: list[tuple[Tensor, Tensor]]


def pseudo_inverse(matrix: Tensor) -> Tensor:
    """Moore-Penrose inverse [columns, rows].

    NaN for a non-finite matrix, as a product gives, where torch raises on some devices: the ascent
    then takes the step back.
    """
    with PSEUDO_INVERSE:
        if not bool(torch.isfinite(matrix).all()):
            return torch.full_like(matrix, float("nan")).T
        inverse: Tensor = torch.linalg.pinv(matrix)
    return inverse


def times_g(A: Tensor, T: Tensor) -> Tensor:
    """The product g A with g = I + T."""
    return torch.addmm(A, T, A)


def times_inverse(W: Tensor, T: Tensor, inverse: Inverse) -> Tensor:
    """W g^-1 with g = I + T: by solving ("true"), or as W (I - T), wrong by W T^2 + ..."""
    if inverse == "first_order":
        return torch.addmm(W, W, T, alpha=-1)
    with INVERSE:
        g = torch.eye(T.shape[0], dtype=T.dtype, device=T.device) + T
        # solve_ex gives NaN for a singular g, which the ascent takes back, where solve raises.
        solution: Tensor = torch.linalg.solve_ex(g, W, left=False).result
    return solution


def sweep_preactivations(
    mlp: MLP,
    inputs: Tensor,
    matrices: Sequence[Tensor],
    T: Sequence[Tensor],
    cached: Sequence[Tensor] | None = None,
    *,
    keep_rest: bool = False,
) -> Swept:
    """V <- gV, U <- U sigma(Vh) pinv(sigma(gVh)), for every pair in turn (2023 paper).

    With ``keep_rest`` U <- U + U (sigma(Vh) - sigma(gVh)) pinv(sigma(gVh)). Exact on the batch
    when ``cached`` is None and every sigma(gVh) [width, columns] has full column rank.

    Args:
        mlp: the activations between the layers.
        inputs: X [features, columns].
        matrices: [W b] of every layer; not written.
        T: one [width, width] matrix per hidden layer.
        cached: inputs h of each pair's V, or None to recompute them.
        keep_rest: whether U keeps what acts on no sample of the batch.
    """
    moved = list(matrices)
    inverted = []
    h = inputs
    for m, activation in enumerate(mlp.activations):
        V, U = moved[m], moved[m + 1]
        Vh = V @ with_ones(h if cached is None else cached[m], V)
        before, after = activation.forward(Vh), activation.forward(times_g(Vh, T[m]))
        after_pinv = pseudo_inverse(after)
        moved[m] = times_g(V, T[m])  # V <- g V
        weight = U[:, : V.shape[0]]
        if keep_rest:
            weight = weight + (weight @ (before - after)) @ after_pinv
        else:
            weight = (weight @ before) @ after_pinv  # U sigma(Vh) pinv(sigma(gVh))
        moved[m + 1] = with_bias_of(U, weight)
        inverted.append((after, after_pinv))
        h = after
    return Swept(moved, inverted)


def sweep_activations(
    mlp: MLP,
    inputs: Tensor,
    input_pinv: Tensor,
    matrices: Sequence[Tensor],
    T: Sequence[Tensor],
    *,
    inverse: Inverse,
    cached: Sequence[Tensor] | None = None,
    keep_rest: bool = False,
) -> Swept:
    """U <- U g^-1, V <- sigma^-1(g sigma(Vh)) pinv(h), for every pair in turn (2022 paper).

    With ``keep_rest`` V <- V + (sigma^-1(g sigma(Vh)) - Vh) pinv(h). Exact on the batch when
    ``cached`` is None, ``inverse`` is "true" and every h [features (+1 row of ones), columns] has
    full column rank.

    Args as of ``sweep_preactivations``, every activation invertible, and ``input_pinv``, the
    pseudo-inverse of X with its ones row, which holds for every step of a batch; ``inverse`` is
    how U g^-1 is computed.
    """
    moved = list(matrices)
    inverted = []
    h = inputs
    for m, activation in enumerate(mlp.activations):
        V, U = moved[m], moved[m + 1]
        fed = with_ones(h if cached is None else cached[m], V)
        fed_pinv = input_pinv if m == 0 else pseudo_inverse(fed)
        Vh = V @ fed
        turned = required_inverse(mlp, m)(times_g(activation.forward(Vh), T[m]))
        moved[m] = V + (turned - Vh) @ fed_pinv if keep_rest else turned @ fed_pinv
        moved[m + 1] = with_bias_of(U, times_inverse(U[:, : V.shape[0]], T[m], inverse))
        inverted.append((fed, fed_pinv))
        if cached is None:
            h = activation.forward(moved[m] @ fed)
    return Swept(moved, inverted)


def required_inverse(mlp: MLP, m: int) -> Elementwise:
    """sigma^-1 of hidden layer ``m``; ModelError when the action may not use one."""
    activation = mlp.activations[m]
    if activation.inverse is None:
        raise ModelError(
            "expected activations that map all reals onto all reals one to one, nn.LeakyReLU with "
            f"negative_slope > 0 or none, for acts_on='activations'; {activation.place} does not: "
            "use acts_on='preactivations', which needs no inverse"
        )
    return activation.inverse


def smallest_rank(inverted: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The smallest numerical rank among the inverted matrices, up to rounding: trace(A^+ A)."""
    return torch.stack([(A_pinv.T * A).sum() for A, A_pinv in inverted]).min()

"""The exact step for about half a Hessian-vector product, for stacks of linear layers.

With z_l = W_l x_l the gradient is G_l = D_l X_l^T, where D_l = dL/dz_l [out, n] and X_l [in, n].
The published step is the projection of [H g]_l = R{D_l} X_l^T + D_l R{X_l}^T, R{.} the derivative
along the gradient. The rows of the first term lie in the span of the inputs, so the exact
projector removes it:

    pi_l([H g]_l) = D_l (P_l R{X_l})^T,    P_l = I - Q_l Q_l^T.

Moving inside the null space changes no z_l, so forward pass, bases and slopes of the activations
hold for all steps of a batch. A step is one pass down for D and one pass up for R{X}:

    D_l = s'(z_l) * (W_{l+1}^T D_{l+1})
    R{z_l} = D_l M_l + W_l R{X_l},    R{X_{l+1}} = s'(z_l) * R{z_l}

with M_l = X_l^T X_l, plus 1 where the bias counts. ||g||^2 = sum_l <D_l, D_l M_l>.
Here, as in the papers, **columns are samples**.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from teleport_core.ascent import Ascent
from teleport_core.interface import State, Status
from teleport_core.nullspace.frozen import FrozenLayer, freeze
from teleport_core.problem import Parameters, Problem
from teleport_core.projection import is_rounding
from teleport_core.stack import Stack

# A weight is copied before a step only where the step could be hard to take back: one that moves
# it by several times its own norm, or any step once ||g||^2 has grown a thousandfold.
_LARGE_STEP = 10.0
_LARGE_GROWTH = 1e3


@dataclass
class HalfHvpState(State):
    """The frozen forward pass of one batch, with the buffers of the steps."""

    layers: list[FrozenLayer]
    loss: Tensor
    top_norm_sq: Tensor
    lr: float = field(default=math.nan)
    saved: Parameters | None = None
    pending: bool = False

    @property
    def moving(self) -> list[FrozenLayer]:
        """Layers with something free and something beneath them that moves."""
        return [layer for layer in self.layers if layer.basis is not None]

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """(weight, fed by data alone, free dimensions) of every layer that counts.

        The free dimensions of a layer that data alone feeds are of no use, and not computed: 0.
        """
        for layer in self.layers:
            if layer.counts[0]:
                free = layer.features - layer.basis.shape[1] if layer.basis is not None else 0
                yield layer.name, layer.data_fed, free

    def something_free(self) -> bool:
        """Whether any layer has a free direction, used or not."""
        if self.moving:
            return True
        fed_by_data = (layer for layer in self.layers if layer.counts[0] and layer.data_fed)
        return any(layer.has_free_inputs() for layer in fed_by_data)

    def step_back(self, problem: Problem) -> bool:
        """Take the last step back: from a copy where there is one, else by subtraction."""
        if self.saved is not None:
            problem.write(self.saved)
        else:
            for layer in self.moving:
                layer.write(-self.lr, layer.D)
        return True


def prepare(problem: Problem, stack: Stack) -> HalfHvpState:
    """One forward pass, the gradient at the last layer, slopes, Gram matrices and bases."""
    layers, loss, top = freeze(problem, stack)
    last = layers[-1]
    last.D.copy_(top)
    last.D_before = last.D  # it never changes
    return HalfHvpState(layers, loss, last.gradient_norm_sq())


def advance(problem: Problem, state: HalfHvpState, lr: float, steps: int, cap: float) -> Ascent:
    """All steps, written into the model as they are taken; undone bit for bit by an exception."""
    with torch.no_grad():
        before = _copy(state)
    try:
        return _advance(problem, state, lr, steps, cap)
    except BaseException:
        problem.write(before)
        raise


def _advance(problem: Problem, state: HalfHvpState, lr: float, steps: int, cap: float) -> Ascent:
    state.lr = lr
    norms: list[float] = []
    status, taken = Status.DONE, 0
    with torch.no_grad():
        for step in range(steps):
            norm_sq = _down(state)
            if not math.isfinite(norm_sq):
                status = Status.NON_FINITE
                if taken:
                    taken -= _take_back(problem, state)
                break
            norms.append(norm_sq)
            if norm_sq >= cap:
                status = Status.CAPPED
                break
            _up(state)
            whole = [layer.whole_norm() for layer in state.moving] if step == 0 else []
            for layer in state.moving:
                layer.keep_free_part()
            if step == 0 and all(
                is_rounding(layer.free_norm(), size, layer.weight.dtype)
                for layer, size in zip(state.moving, whole, strict=True)
            ):
                status = Status.NO_ASCENT_DIRECTION
                break
            state.saved = _copy(state) if _risky(state, norms) else None
            state.pending = True
            taken += 1
        if state.pending:
            for layer in state.moving:
                layer.write(lr, layer.D)
    unknown = [math.nan] * (len(norms) - 1 + (status is Status.DONE))
    return Ascent(
        status=status,
        steps_done=taken,
        parameters=None,
        previous=None,
        loss=[float(state.loss), *unknown],
        grad_norm_sq=[*norms, math.nan] if status is Status.DONE else norms or [math.nan],
    )


def _down(state: HalfHvpState) -> float:
    """D of every layer at the present weights, and ||g||^2; the last layer's D never changes.

    The step before is written here, each weight just before it is read again.
    """
    layers = state.layers
    norm_sq = state.top_norm_sq
    for lower, upper in zip(layers[-2::-1], layers[:0:-1], strict=True):
        if state.pending and upper.basis is not None:
            upper.write(state.lr, upper.D_before)
        lower.take_gradient_from(upper)
        norm_sq = norm_sq + lower.gradient_norm_sq()
    state.pending = False
    return float(norm_sq)


def _up(state: HalfHvpState) -> None:
    """R{X} of every layer: how its inputs move when all parameters move along the gradient."""
    for lower, upper in pairwise(state.layers):
        lower.push_tangent_to(upper)


def _take_back(problem: Problem, state: HalfHvpState) -> int:
    """Take back the last step after a pass down has replaced its D."""
    for layer in state.layers[:-1]:
        layer.D, layer.D_before = layer.D_before, layer.D
    state.step_back(problem)
    return 1


def _risky(state: HalfHvpState, norms: list[float]) -> bool:
    """Whether a step might not be taken back by subtraction."""
    if norms[-1] > _LARGE_GROWTH * norms[0]:
        return True
    if len(norms) > 1:
        return False
    sizes = [(layer.D.norm() * layer.free_norm(), layer.weight.norm()) for layer in state.moving]
    return any(not state.lr * float(move) <= _LARGE_STEP * float(size) for move, size in sizes)


def _copy(state: HalfHvpState) -> Parameters:
    copies = {layer.name: layer.weight.clone() for layer in state.moving}
    biases = [(layer.bias_name, layer.bias) for layer in state.moving]
    return copies | {name: bias.clone() for name, bias in biases if name and bias is not None}

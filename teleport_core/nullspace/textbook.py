"""The published formulation: double backward, then projection. The oracle for faster engines.

For each batch one SVD per layer (Alg. 1, line 4); for each step the gradient of 1/2 ||g||^2 by
double backward (Eq. 4), its projection (Eq. 12) and an ascent step (Eq. 5). Alg. 1, line 6 prints
a minus sign there; ascent needs the plus of Eq. 5.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from teleport_core.ascent import Ascent, Point, ascend
from teleport_core.interface import State
from teleport_core.layers import Layer, find_layers
from teleport_core.layers.watch import twice_differentiable
from teleport_core.objective import gradient_at, objective_gradient, squared_norm
from teleport_core.phases import BACKWARD, BASIS, CAPTURE, PROJECTION, UPDATE
from teleport_core.problem import Parameters, Problem
from teleport_core.projection import Basis, basis_of_pieces, is_rounding, project


@dataclass
class TextbookState(State):
    """Layers and bases of one batch, in the same order; what stays -> why; fused calls or none."""

    layers: list[Layer]
    bases: list[Basis]
    held: dict[str, str]
    fused: bool

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """(weight, fed by data alone, free dimensions) of every movable layer."""
        for layer, basis in zip(self.layers, self.bases, strict=True):
            yield layer.weight, layer.data_fed, basis.free

    def something_free(self) -> bool:
        """Whether any layer has a free direction, used or not."""
        return any(free for _, _, free in self.freedoms())


def prepare(problem: Problem, rank_rule: str, tau: float, limit: int = 2**62) -> TextbookState:
    """Bases (Step 2 of the paper) of the inputs (Eq. 8), of which ``limit`` columns are held."""
    with CAPTURE:
        found = find_layers(problem)
    with BASIS:
        bases = [
            basis_of_pieces(layer.columns(limit), rank_rule, tau, limit=limit)
            for layer in found.layers
        ]
    found.seen.drop_graph()
    return TextbookState(found.layers, bases, found.held, found.seen.fused)


def advance(problem: Problem, state: TextbookState, lr: float, steps: int, cap: float) -> Ascent:
    """Algorithm 1, lines 5-11; nothing is written to the model."""
    with UPDATE:
        start = {name: value.clone() for name, value in problem.detached().items()}

    def visit(parameters: Parameters) -> Point:
        counted = problem.counted()
        leaves = parameters | {
            name: parameters[name].detach().requires_grad_(True) for name in counted
        }
        loss, gradient = gradient_at(problem, leaves, counted, differentiable=True)
        with BACKWARD:
            norm_sq = squared_norm(gradient)

        def move() -> Parameters | None:
            updates = projected_objective_gradient(state, leaves, gradient)
            if not updates:
                return None
            with UPDATE:
                moved = {name: parameters[name] + lr * updates.pop(name) for name in [*updates]}
            return parameters | moved  # Eq. 5

        return Point(loss.detach(), norm_sq.detach(), move)

    with torch.enable_grad(), twice_differentiable(fused=state.fused):
        return ascend(start, visit, steps, cap)


def projected_objective_gradient(
    state: TextbookState, leaves: Parameters, gradient: Parameters
) -> Parameters:
    """pi_l(H g) by parameter name; layers whose projection is zero to rounding are left out."""
    full = objective_gradient(leaves, gradient, moving_names(state.layers))
    return free_part(state.layers, state.bases, full)


def moving_names(layers: list[Layer]) -> list[str]:
    """Of the parameters that may move, each once."""
    return sorted({name for layer in layers for name in layer.names()})


def free_part(layers: list[Layer], bases: list[Basis], full: Parameters) -> Parameters:
    """The projection of ``full`` by parameter name, without layers where it is rounding."""
    updates: Parameters = {}
    with PROJECTION:
        for layer, basis in zip(layers, bases, strict=True):
            matrix = layer.gather(full)
            projected = layer.keep_rows(project(matrix, basis.vectors))  # Eq. 12
            if basis.free and not is_rounding(projected.norm(), matrix.norm(), matrix.dtype):
                for name in layer.names():
                    updates.setdefault(name, torch.zeros_like(full[name]))
                layer.add(updates, projected)
    return updates

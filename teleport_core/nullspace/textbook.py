"""The published formulation: double backward, then projection. The oracle for faster engines.

For each batch one SVD per layer (Alg. 1, line 4); for each step the gradient of 1/2 ||g||^2 by
double backward (Eq. 4), its projection (Eq. 12) and an ascent step (Eq. 5). Alg. 1, line 6 prints
a minus sign there; ascent needs the plus of Eq. 5. Of another objective J(g) it is the double
backward of <g, v>, v = dJ/dg held fixed; an objective of the parameters is differentiated as it is.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from teleport_core.ascent import Ascent, Point, ascend
from teleport_core.layers import Layer, find_layers
from teleport_core.layers.differentiable_twice import twice_differentiable
from teleport_core.norms import squared_norm
from teleport_core.nullspace.bases.inputs import inputs_of
from teleport_core.nullspace.engine import Climb, Declined, EngineState
from teleport_core.nullspace.line import Seen
from teleport_core.objectives.gradient import gradient_at, gradient_of, objective_gradient
from teleport_core.phases import BACKWARD, BASIS, CAPTURE, PROJECTION, UPDATE
from teleport_core.problem import Parameters, Problem
from teleport_core.projection import Basis, basis_of_pieces, is_rounding, project
from teleport_core.results import Engine
from teleport_core.verification.derivatives import (
    derivatives_needed,
    require_differentiable,
    require_numbers,
)


@dataclass
class TextbookState(EngineState):
    """Layers and bases of one batch, in the same order; fused calls or none."""

    layers: list[Layer]
    bases: list[Basis]
    fused: bool

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """(weight, fed by data alone, free dimensions) of every movable layer."""
        for layer, basis in zip(self.layers, self.bases, strict=True):
            yield layer.weight, layer.data_fed, basis.free

    def advance(self, problem: Problem, climb: Climb) -> Ascent:
        """Algorithm 1, lines 5-11."""
        if self.route is None:
            ascent = climbed(problem, self, climb)
        else:
            ascent = _along_line(problem, self, climb.steps)
        if ascent.parameters is not None:
            self.write(problem, self.moved(ascent.parameters))
        if ascent.previous is not None:
            self.previous = self.moved(ascent.previous)
        return ascent

    def moved(self, parameters: Parameters) -> Parameters:
        """Of all parameters those that may move."""
        return {name: parameters[name] for name in moving_names(self.layers)}


def prepare(problem: Problem, climb: Climb) -> TextbookState | Declined:
    """Bases (Step 2 of the paper) of the inputs (Eq. 8), where somebody asks for them."""
    of_gradient = climb.goal is None or climb.goal.of_parameters is None
    if not climb.published and climb.rule == "numerical" and of_gradient:
        return Declined("the exact null space was asked for")
    why = "engine='textbook' was asked for"
    if not of_gradient:
        why = "the objective is a function of the parameters"
    elif not climb.published:
        why = f"the spaces of tau = {climb.tau:g} by rank_rule={climb.rule!r} are not exact"
    with CAPTURE:
        found = find_layers(problem)
    with BASIS:
        layers = [*map(inputs_of, found.layers)]
        bases = climb.bases.of("textbook", Basis, layers, lambda: _bases(found.layers, climb))
    found.seen.drop_graph()
    ran = Engine("textbook", why)
    state = TextbookState(found.layers, bases, found.seen.fused, held=found.held, engine=ran)
    state.route = climb.route()
    return state


def _bases(layers: list[Layer], climb: Climb) -> list[Basis]:
    return [
        basis_of_pieces(layer.columns(climb.limit), climb.rule, climb.tau, limit=climb.limit)
        for layer in layers
    ]


def climbed(problem: Problem, state: TextbookState, climb: Climb) -> Ascent:
    """Where the steps lead; nothing is written to the model."""
    with UPDATE:
        start = problem.copy()

    def visit(parameters: Parameters) -> Point:
        leaves = problem.leaves(parameters)
        with derivatives_needed(problem):
            loss, gradient = gradient_at(problem, leaves, problem.counted(), differentiable=True)
        with BACKWARD:
            norm_sq = squared_norm(gradient.values())

        def move() -> Parameters | None:
            if parameters is start:
                require_differentiable(problem, gradient.values())
            with derivatives_needed(problem):
                updates = projected_objective_gradient(state, leaves, gradient)
            if not updates:
                return None
            if parameters is start:
                require_numbers(
                    updates.items(), "use engine='auto' at tau=1, which needs fewer of them"
                )
            with UPDATE:
                moved = {
                    name: parameters[name] + climb.lr * updates.pop(name) for name in [*updates]
                }
            return parameters | moved  # Eq. 5

        return Point(loss.detach(), norm_sq.detach(), move)

    with torch.enable_grad(), twice_differentiable(fused=state.fused):
        return ascend(start, visit, climb.steps, climb.cap)


class _Line:
    """Points along the published step: each is visited by passes of its own.

    Below tau = 1 activations move, so that J may jump where a unit switches.
    """

    def __init__(self, problem: Problem, state: TextbookState) -> None:
        self._problem, self._state = problem, state
        self.parameters = problem.copy()
        self.origin = self.parameters
        self._leaves: Parameters = {}
        self._gradient: Parameters = {}
        self._slope: Parameters | None = None
        self._value: Tensor | None = None
        self._updates: Parameters = {}

    def look(self) -> Seen:
        """J and ||g||^2 at the present point, the graph kept; NaN where the loss is not finite."""
        self._leaves, self._gradient, self._slope, self._value = {}, {}, None, None
        problem, goal = self._problem, self._state.goal
        leaves = problem.leaves(self.parameters)
        of_gradient = goal is None or goal.of_parameters is None
        with derivatives_needed(problem):
            loss, gradient = gradient_at(
                problem, leaves, problem.counted(), differentiable=of_gradient
            )
        with BACKWARD:
            norm_sq = float(squared_norm(gradient.values()).detach())
        seen = Seen.plain(norm_sq, float(loss.detach()))
        if not math.isfinite(seen.loss):
            return Seen.plain(math.nan, seen.loss)
        self._leaves, self._gradient = leaves, gradient
        if goal is None:
            return seen
        if of_gradient:
            value, self._slope = goal.look(gradient, self.parameters)
            return seen._replace(objective=value)
        with derivatives_needed(problem):
            self._value = goal.value_of(problem, leaves)
        value = float(self._value.detach())
        return seen._replace(objective=-value if goal.down else value)

    def aim(self, *, first: bool) -> float | None:
        """Begin a step where ``look`` looked last; ||U||^2, None where nothing is left of U."""
        state, problem = self._state, self._problem
        if first and self._value is None:
            require_differentiable(problem, self._gradient.values())
        with derivatives_needed(problem):
            if self._value is None:
                full = objective_gradient(
                    self._leaves, self._gradient, moving_names(state.layers), self._slope
                )
            else:
                names = moving_names(state.layers)
                full = gradient_of(self._value, self._leaves, names, differentiable=False)
            found = free_part(state.layers, state.bases, full)
        if not found:
            return None
        if first:
            require_numbers(found.items(), "use engine='auto' at tau=1, which needs fewer of them")
        self.origin, self._updates = self.parameters, found
        return float(squared_norm(found.values()))

    def go(self, length: float) -> None:
        """Be ``length`` along U from where the step began."""
        with UPDATE:
            self.parameters = self.origin
            if length:
                moved = {n: self.origin[n] + length * U for n, U in self._updates.items()}
                self.parameters = self.origin | moved


def _along_line(problem: Problem, state: TextbookState, steps: int) -> Ascent:
    """The first steps of the route; nothing is written to the model."""
    assert state.route is not None
    with UPDATE:
        line = _Line(problem, state)
    with torch.enable_grad(), twice_differentiable(fused=state.fused):
        ascent = state.route.climb(line, steps)
    if not ascent.steps_done:
        return ascent
    return replace(ascent, parameters=line.parameters, previous=line.origin)


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

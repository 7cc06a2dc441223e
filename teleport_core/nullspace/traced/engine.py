"""The exact step for any architecture: one kept forward pass, a backward and a tangent pass a step.

As in ``half_hvp``, for every weight that is linear in its inputs X

    pi([H g]) = D (P R{X})^T,    D = dL/dz,  P the projector on what is orthogonal to X,

and moving inside the null spaces changes no activation, so that one forward pass serves all steps
of a batch. ``teleport_core.layers.tape`` keeps it and gives D and R{X} at the present weights.
Parameters that stay still count: in ||g||^2, and in the direction of R{.}. With v = dJ/dg for the
gradients in that direction it is the step of any objective J, as ``half_hvp`` proves.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from teleport_core.ascent import Ascent, written
from teleport_core.layers import Layer, Layers, find_layers
from teleport_core.layers.differentiable_twice import twice_differentiable
from teleport_core.norms import square_sum
from teleport_core.nullspace.bases.inputs import inputs_of
from teleport_core.nullspace.bases.spaces import Space, spaces
from teleport_core.nullspace.engine import Climb, EngineState
from teleport_core.nullspace.line import Seen
from teleport_core.nullspace.ranks.shared import Shared
from teleport_core.nullspace.start import Start
from teleport_core.nullspace.traced.groups import GroupsUpdate
from teleport_core.nullspace.traced.kept_pass import KeptPass, transpose
from teleport_core.nullspace.traced.moving import Moving, MovingGroups, arranged, bound
from teleport_core.nullspace.traced.updates import Update
from teleport_core.phases import BACKWARD, CAPTURE, CHECK, PROJECTION, TANGENT, UPDATE
from teleport_core.problem import Problem
from teleport_core.projection import is_rounding
from teleport_core.results import Engine, Status
from teleport_core.torch_private import has_gradient
from teleport_core.verification.derivatives import (
    derivatives_needed,
    require_differentiable,
    require_numbers,
)

Updates = list[Update | GroupsUpdate]
FindSpaces = Callable[[list[Layer]], list[Space]]


@dataclass
class TracedState(EngineState):
    """The kept forward pass of one batch.

    ``free`` holds the free dimensions of each of ``layers``, 0 for one that data alone feeds;
    ``find`` finds spaces; ``loss`` is that of the samples of all ranks.
    """

    layers: list[Layer]
    free: list[int]
    moving: list[Moving | MovingGroups]
    kept: KeptPass
    loss: Tensor
    find: FindSpaces
    start: Start
    taken: int = field(default=0)
    lr: float = field(default=0.0)

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """(weight, fed by data alone, free dimensions) of every layer that may move."""
        for layer, free in zip(self.layers, self.free, strict=True):
            yield layer.weight, layer.data_fed, free

    def something_moves(self) -> bool:
        """Whether any layer has something free and something beneath it that moves."""
        return bool(self.moving)

    def something_free(self) -> bool:
        """Whether any layer has a free direction, used or not."""
        if any(self.free):
            return True
        fed = [layer for layer in self.layers if layer.data_fed]
        return any(space.free for space in self.find(fed))

    def advance(self, problem: Problem, climb: Climb) -> Ascent:
        """All steps, written into the model as they are taken; undone bit for bit if it fails."""
        with torch.no_grad():
            with UPDATE:
                self.start.renew()
            self.lr = climb.lr
            try:
                if self.route is None:
                    ascent = _advance(problem, self, climb)
                else:
                    ascent = self._along_line(problem, climb.steps)
            except BaseException:
                self.start.restore()
                raise
        self.taken = ascent.steps_done
        return ascent

    def _along_line(self, problem: Problem, steps: int) -> Ascent:
        """The first steps of the route."""
        assert self.route is not None
        ascent = self.route.climb(_Line(problem, self), steps)
        ascent.loss[0] = float(self.loss)
        return ascent

    def grad_norm_sq(self, problem: Problem) -> float | None:
        """||g||^2 at the weights as they are now, by the kept pass."""
        if not self.moving:
            return None
        with torch.no_grad(), BACKWARD, derivatives_needed(problem):
            return self.kept.gradients()

    def step_back(self, problem: Problem) -> bool:
        """Take the last step back: from the start again, with one step less."""
        if not self.taken:
            return False
        self.taken -= 1
        with torch.no_grad():
            self.start.restore()
            if self.route is not None:
                self._along_line(problem, self.taken)
                return True
            for _ in range(self.taken):
                self.kept.gradients()
                _write(self, _updates(problem, self))
        return True


class _Line:
    """The weights along the step of every layer."""

    def __init__(self, problem: Problem, state: TracedState) -> None:
        self._problem, self._state = problem, state
        self._updates: Updates | None = None
        self._start: Start | None = None

    def look(self) -> Seen:
        """J and ||g||^2 at the present weights, by the kept pass; tangents go along v then."""
        problem, kept, goal = self._problem, self._state.kept, self._state.goal
        with BACKWARD, derivatives_needed(problem):
            norm_sq = kept.gradients()
            if goal is None:
                return Seen.plain(norm_sq)
            own, found = problem.detached(), kept.tape.gradients
            gradient = {
                name: found[name] if name in found else torch.zeros_like(own[name])
                for name in problem.counted()
            }
            value, slope = goal.look(gradient, own)
            # What the loss does not read has no gradient, and is beneath nothing that has one.
            kept.tape.gradients.update({name: slope[name] for name in found})
            return Seen(value, norm_sq)

    def aim(self, *, first: bool) -> float | None:
        """Begin a step where ``look`` looked last; ||U||^2, None where the first is rounding."""
        self._updates = _updates(self._problem, self._state, first=first)
        if self._updates is None:
            return None
        with UPDATE:
            if self._start is None:
                self._start = self._state.start.another()
            self._start.renew()
            return sum(float(square_sum(update.matrix())) for update in self._updates)

    def go(self, length: float) -> None:
        """Put the weights ``length`` along U from a copy of where the step began."""
        assert self._start is not None
        with UPDATE:
            self._start.restore()
            self._state.lr = length
        if length:
            _write(self._state, self._updates)


def prepare(problem: Problem, climb: Climb) -> TracedState:
    """One forward pass, watched and kept; Gram matrices and bases; the graph of the tangents."""
    with CAPTURE:
        found = find_layers(problem)
    seen = found.seen
    fed = [layer for layer in found.layers if not layer.data_fed]
    shared = None if problem.ranks is None else Shared.of(problem.ranks, found)
    find: FindSpaces = lambda some: spaces(some, climb.limit)  # noqa: E731
    if shared is not None:
        find = partial(shared.spaces, limit=climb.limit)
    found_spaces = climb.bases.of("traced", Space, [*map(inputs_of, fed)], lambda: find(fed))
    of = dict(zip(map(id, fed), found_spaces, strict=True))
    free = [_free(layer, of.get(id(layer))) for layer in found.layers]
    names = [n for n in problem.counted() if n in seen.others or n in seen.rows]
    others = {name: seen.leaves[name] for name in names}
    with torch.enable_grad(), twice_differentiable():
        with CAPTURE:
            loss = problem.loss_of(seen.output)
        movers = [layer for layer, n in zip(found.layers, free, strict=True) if n]
        roots, places = _roots(found, movers)
        with TANGENT, derivatives_needed(problem):
            inputs, transposed = transpose(seen.tape, roots, others)
    require_differentiable(problem, [E for _, E in transposed])
    moving = arranged(movers, of, places)
    for use in (use for layer in movers for use in layer.uses):
        use.keeps = True
    seen.drop_graph()
    kept = KeptPass(loss, others, seen.tape, inputs, transposed, shared)
    with UPDATE:
        written_to = sorted({name for each in moving for name in each.layer.names()})
        start = Start(problem, {name: seen.tape.parameters[name] for name in written_to})
    return TracedState(
        layers=found.layers,
        free=free,
        moving=moving,
        kept=kept,
        loss=loss.new_tensor(problem.total(float(loss.detach()))),
        find=find,
        start=start,
        held=found.held,
        before=start.values,
        engine=Engine("traced", ""),
        route=climb.route(),
    )


def _free(layer: Layer, space: Space | None) -> int:
    """Free dimensions; none where every row is looked up, or data alone feeds the layer."""
    rows = 0 if layer.looked_up is None else len(layer.looked_up)
    return 0 if space is None or rows == layer.shape[0] else space.free


def _roots(found: Layers, movers: list[Layer]) -> tuple[list[Tensor], dict[int, list[int | None]]]:
    """The distinct inputs of the layers that move, and the place of each use's input."""
    inputs = dict(zip(map(id, found.seen.uses), found.seen.inputs, strict=True))
    roots: list[Tensor] = []
    place: dict[int, int] = {}
    for use in (use for layer in movers for use in layer.uses):
        x = inputs[id(use)]
        if has_gradient(x) and id(x) not in place:
            place[id(x)] = len(roots)
            roots.append(x)
    return roots, {
        id(layer): [place.get(id(inputs[id(use)])) for use in layer.uses] for layer in movers
    }


def _advance(problem: Problem, state: TracedState, climb: Climb) -> Ascent:
    norms: list[float] = []
    status, state.taken = Status.DONE, 0
    for step in range(climb.steps):
        with BACKWARD:
            norm_sq = state.kept.gradients()
        if not math.isfinite(norm_sq):
            status = Status.NON_FINITE
            state.step_back(problem)
            break
        norms.append(norm_sq)
        if norm_sq >= climb.cap:
            status = Status.CAPPED
            break
        updates = _updates(problem, state, first=step == 0)
        if updates is None:
            status = Status.NO_ASCENT_DIRECTION
            break
        _write(state, updates)
        state.taken += 1
    return written(status, state.taken, state.loss, norms)


def _updates(problem: Problem, state: TracedState, *, first: bool = False) -> Updates | None:
    """The step from where the gradients were taken; None where the first is rounding alone."""
    with TANGENT, derivatives_needed(problem):
        found = state.kept.tangents()
    with PROJECTION:
        updates = [each.update(found) for each in state.moving]
    with CHECK:
        if first:
            require_numbers(_named(state, found), "use another operation there")
        bounds = [bound(each, found) for each in state.moving] if first else []
        if state.kept.shared is not None:
            updates, bounds = state.kept.shared.whole(updates, bounds)
        if first and _nothing_left(updates, bounds):
            return None
    return updates


def _write(state: TracedState, updates: Updates | None) -> None:
    assert updates is not None
    with UPDATE:
        for each, update in zip(state.moving, updates, strict=True):
            update.write(each.layer, state.kept.tape.parameters, state.lr)


def _named(state: TracedState, found: list[Tensor | None]) -> Iterator[tuple[str, Tensor]]:
    """The tangents by the weights that see them."""
    for each in state.moving:
        for place in each.tangents:
            tangent = None if place is None else found[place]
            if tangent is not None:
                yield each.layer.weight, tangent


def _nothing_left(updates: Updates, bounds: list[Tensor]) -> bool:
    """Whether the projection leaves nothing but rounding anywhere."""
    return all(
        is_rounding(update.matrix().norm(), bound, update.right.dtype)
        for update, bound in zip(updates, bounds, strict=True)
    )

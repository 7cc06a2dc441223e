"""The exact step for stacks of linear layers of which each rank has some of the samples.

As ``half_hvp``, with columns gathered where that sends fewer numbers than sums of matrices do.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from teleport_core.ascent import Ascent, written
from teleport_core.nullspace.bases.gram import GramBasis
from teleport_core.nullspace.bases.inputs import Inputs
from teleport_core.nullspace.bases.shared import require_same_rank, spaces_of
from teleport_core.nullspace.bases.spaces import Space
from teleport_core.nullspace.engine import Climb, Declined, EngineState
from teleport_core.nullspace.half_hvp.chain import NoChain, read_chain
from teleport_core.nullspace.half_hvp.forward import freeze
from teleport_core.nullspace.half_hvp.layer import FrozenLayer
from teleport_core.nullspace.ranks.layer import SharedLayer
from teleport_core.nullspace.ranks.schedule import SharedSchedule
from teleport_core.nullspace.ranks.volume import Way, way, way_of_last
from teleport_core.nullspace.start import Start
from teleport_core.phases import BASIS, CAPTURE, UPDATE
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Engine, Status

if TYPE_CHECKING:
    from teleport_core.distributed.ranks import Ranks

T = TypeVar("T")


@dataclass
class SharedChainState(EngineState):
    """The frozen forward pass of this rank's samples, and the schedule of its steps."""

    layers: list[FrozenLayer]
    schedule: SharedSchedule
    loss: Tensor
    start: Start
    lr: float
    cap: float
    taken: int = field(default=0)

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """(weight, fed by data alone, free dimensions) of every layer that counts."""
        for layer in self.layers:
            if layer.counts[0]:
                free = layer.features - layer.basis.shape[1] if layer.basis is not None else 0
                yield layer.name, layer.data_fed, free

    def something_moves(self) -> bool:
        """Whether any layer has something free and something beneath it that moves."""
        return any(layer.basis is not None for layer in self.layers)

    def something_free(self) -> bool:
        """Whether any layer has a free direction, used or not."""
        if self.something_moves():
            return True
        fed = [layer for layer in self.layers if layer.counts[0] and layer.data_fed]
        ranks = self.schedule.ranks
        found = [spaces_of(ranks, iter([_pieces(one)]), one.inputs.dtype, 2**62)[0] for one in fed]
        return any(space.free for spaces in found for space in spaces)

    def advance(self, problem: Problem, climb: Climb) -> Ascent:
        """All steps, written into the model as they are taken; undone bit for bit if it fails."""
        del problem
        with torch.no_grad():
            with UPDATE:
                self.start.renew()
            try:
                ascent = self._climb(climb.steps)
            except BaseException:
                self.start.restore()
                raise
        self.taken = ascent.steps_done
        return ascent

    def grad_norm_sq(self, problem: Problem) -> float | None:
        """||g||^2 at the weights as they are now, by one more pass down."""
        del problem
        with torch.no_grad():
            return self.schedule.grad_norm_sq()

    def step_back(self, problem: Problem) -> bool:
        """Take the last step back: from the start again, with one step less."""
        del problem
        if not self.taken:
            return False
        self.taken -= 1
        with torch.no_grad():
            self.start.restore()
            if self.taken:
                self._climb(self.taken)
        return True

    def _climb(self, steps: int) -> Ascent:
        if self.route is None:
            return self._steps(steps)
        ascent = self.route.climb(self.schedule, steps)
        ascent.loss[0] = float(self.loss)
        return ascent

    def _steps(self, steps: int) -> Ascent:
        """Algorithm 1, lines 5-11, of the paper."""
        norms: list[float] = []
        status, self.taken = Status.DONE, 0
        for step in range(steps):
            norm_sq = self.schedule.look().grad_norm_sq
            if not math.isfinite(norm_sq):
                status = Status.NON_FINITE
                break
            norms.append(norm_sq)
            if norm_sq >= self.cap:
                status = Status.CAPPED
                break
            if self.schedule.aim(first=step == 0) is None:
                status = Status.NO_ASCENT_DIRECTION
                break
            self.schedule.go(self.lr)
            self.taken += 1
        if status is Status.NON_FINITE and self.taken:
            taken = self.taken - 1
            self.start.restore()
            if taken:
                self._steps(taken)
            self.taken = taken
        return written(status, self.taken, self.loss, norms)


def prepare(problem: Problem, climb: Climb) -> SharedChainState | Declined:
    """One forward pass, the gradient at the last layer, slopes, and the bases of all ranks."""
    ranks = problem.ranks
    assert ranks is not None
    if climb.goal is not None:
        return Declined("an objective of the gradient needs all of it")
    bases = _Bases(ranks)
    try:
        with CAPTURE:
            chain = read_chain(problem)
            layers, top = freeze(problem, chain, bases)
    except NoChain as reason:
        return Declined(f"the model is no chain of linear layers and activations: {reason}")
    loss = chain.loss.new_tensor(problem.total(float(chain.loss.detach())))
    held = {
        link.bias: "used in linear"
        for link, layer in zip(chain.links, layers, strict=True)
        if layer.counts == (False, True) and link.bias is not None
    }
    del chain
    with torch.no_grad():
        with BASIS:
            schedule = _schedule(ranks, layers, top, bases)
        with UPDATE:
            start = Start(problem, _weights(layers))
    why = f"the model is a chain of linear layers and activations; {_said(schedule.layers)}"
    return SharedChainState(
        layers=layers,
        schedule=schedule,
        loss=loss,
        start=start,
        lr=climb.lr,
        cap=climb.cap,
        held=held,
        before=start.values,
        engine=Engine("half_hvp", why),
        route=climb.route(),
    )


class _Bases:
    """Finds the bases of the inputs of all ranks; keeps inputs that were gathered, by weight."""

    def __init__(self, ranks: "Ranks") -> None:
        self._ranks = ranks
        self.gathered: dict[str, Tensor] = {}

    def of(
        self, engine: str, kind: type[T], layers: Sequence[Inputs], decompose: Callable[[], list[T]]
    ) -> list[T]:
        """A basis Q of each layer's inputs."""
        del engine, decompose
        found: list[Space] = []
        for inputs in layers:
            rows = inputs.uses[0][0]
            piece = _with_ones(rows) if inputs.ones else rows[None]
            (space,), X = spaces_of(self._ranks, iter([piece]), rows.dtype, 2**62)
            if X is not None:
                self.gathered[inputs.weight] = X[0, :, : rows.shape[1]].T
            found.append(space)
        require_same_rank(self._ranks, found)
        made: list[Any] = [GramBasis(_span(space, layers[0]), None) for space in found]
        assert kind is GramBasis
        return made

    def inputs(self, layer: FrozenLayer, counts: list[int]) -> Tensor:
        """X [in, N] of all ranks."""
        if layer.name not in self.gathered:
            what = "the inputs of a layer"
            (rows,) = self._ranks.gather(what, [layer.inputs.T], [counts])
            self.gathered[layer.name] = rows.T
        return self.gathered[layer.name]


def _schedule(
    ranks: "Ranks", layers: list[FrozenLayer], top: Tensor, bases: _Bases
) -> SharedSchedule:
    """What is gathered of each layer and what is summed; what never changes is exchanged now."""
    own = layers[0].inputs.shape[1]
    columns = [int(n) for (n,) in ranks.words("the columns of its batch", own)]
    total = sum(columns)
    shared: list[SharedLayer] = []
    for layer in layers:
        chosen = _way(layer, total, bases, last=layer is layers[-1])
        cross = None
        if chosen.thin_gradient:
            x, X = layer.inputs, bases.inputs(layer, columns)
            cross = X.T @ x if layer.counts[0] else x.new_zeros(total, x.shape[1])
            cross = cross + 1 if layer.counts[1] else cross
        shared.append(SharedLayer(layer, chosen, cross, layer.D))
    bases.gathered.clear()
    schedule = SharedSchedule(ranks, shared, columns)
    schedule.begin(top)
    return schedule


def _way(layer: FrozenLayer, columns: int, bases: _Bases, *, last: bool) -> Way:
    out, features = layer.weight.shape
    counted = features * layer.counts[0] + layer.counts[1]
    moves = layer.basis is not None
    if not last:
        return way(out, counted, columns, moves=moves)
    return way_of_last(out, counted, columns, moves=moves, gathered=layer.name in bases.gathered)


def _pieces(layer: FrozenLayer) -> Tensor:
    """[1, columns, features]."""
    rows = layer.inputs.T
    return _with_ones(rows) if layer.bias_name is not None else rows[None]


def _with_ones(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)[None]


def _span(space: Space, inputs: Inputs) -> Tensor:
    """Q [features, k] of the inputs."""
    if space.span is not None:
        return space.span
    rows = inputs.uses[0][0]
    if space.rest is None:
        return torch.eye(space.features, dtype=rows.dtype, device=rows.device)
    whole: Tensor = torch.linalg.qr(space.rest.double(), mode="complete").Q
    return whole[:, space.free :].to(rows.dtype)


def _weights(layers: list[FrozenLayer]) -> Parameters:
    """What is written, by name."""
    moving = [layer for layer in layers if layer.basis is not None]
    found = {layer.name: layer.weight for layer in moving}
    biased = {str(one.bias_name): one.bias for one in moving if one.bias is not None}
    return found | biased


def _said(layers: Sequence[SharedLayer]) -> str:
    """Which exchanges were chosen."""
    thin = sum(one.way.thin_gradient for one in layers[:-1])
    moving = [one for one in layers if one.moves]
    updates = sum(one.way.thin_update for one in moving)
    return (
        f"columns are gathered for {thin} of {len(layers) - 1} gradients and {updates} of "
        f"{len(moving)} updates, the others are summed"
    )

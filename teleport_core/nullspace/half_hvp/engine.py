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

All this holds for any function J of the gradient. The chain rule gives dJ/dW = H v, where H is
symmetric and v = dJ/dg; v is held fixed, so H v is the derivative of g along v. With R{.} the
derivative along v in place of g the product rule is the same,

    [H v]_l = R{D_l} X_l^T + D_l R{X_l}^T,    pi_l([H v]_l) = D_l (P_l R{X_l})^T,

as nothing but the span of X_l was used to remove the first term. Only what the weights add to a
tangent is another: V_l X_l, where v = g had G_l X_l = D_l M_l. So G_l = D_l X_l^T has to be formed,
for v, and V_l X_l: two products of the size of the others more (``objective_line``).

Here, as in the papers, **columns are samples**.

The next batch cannot be prepared while this one's steps run: its activations above the first
moving layer depend on the weights these steps write.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from teleport_core.ascent import Ascent, written
from teleport_core.nullspace.engine import Climb, Declined, EngineState
from teleport_core.nullspace.half_hvp.chain import Chain, NoChain, read_chain
from teleport_core.nullspace.half_hvp.cuda_graph import Eager, Loop, recordings_of
from teleport_core.nullspace.half_hvp.forward import freeze
from teleport_core.nullspace.half_hvp.gradients import together
from teleport_core.nullspace.half_hvp.layer import FrozenLayer
from teleport_core.nullspace.half_hvp.line import FrozenLine
from teleport_core.nullspace.half_hvp.objective_line import ObjectiveLine
from teleport_core.nullspace.half_hvp.projection import Movers, movers
from teleport_core.nullspace.half_hvp.schedule import Schedule
from teleport_core.nullspace.start import Start
from teleport_core.phases import BACKWARD, BASIS, CAPTURE, UPDATE
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Engine, Status

_CHAIN = "the model is a chain of linear layers and activations"


@dataclass
class HalfHvpState(EngineState):
    """The frozen forward pass of one batch, and the loop that takes its steps.

    ``biases`` has the name of each layer's bias that counts.
    """

    layers: list[FrozenLayer]
    loss: Tensor
    loop: Loop | None = None
    start: Start | None = None
    biases: list[str | None] = field(default_factory=list)
    taken: int = field(default=0)

    @property
    def moving(self) -> list[FrozenLayer]:
        """Layers with something free and something beneath them that moves."""
        return [layer for layer in self.layers if layer.basis is not None]

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """(weight, fed by data alone, free dimensions) of every layer that counts."""
        # The free dimensions of a layer that data alone feeds are of no use, and not computed: 0.
        for layer in self.layers:
            if layer.counts[0]:
                free = layer.features - layer.basis.shape[1] if layer.basis is not None else 0
                yield layer.name, layer.data_fed, free

    def something_moves(self) -> bool:
        """Whether any layer has something free and something beneath it that moves."""
        return bool(self.moving)

    def something_free(self) -> bool:
        """Whether any layer has a free direction, used or not."""
        if self.moving:
            return True
        fed_by_data = (layer for layer in self.layers if layer.counts[0] and layer.data_fed)
        return any(layer.has_free_inputs() for layer in fed_by_data)

    def advance(self, problem: Problem, climb: Climb) -> Ascent:
        """All steps, written into the model as they are taken; undone bit for bit if it fails."""
        assert self.loop is not None
        assert self.start is not None
        with torch.no_grad():
            with UPDATE:
                self.start.renew()
            try:
                if self.route is not None:
                    return self._along_line(problem, climb.steps)
                outcome = self.loop.run(climb.steps)
                if outcome.status in (Status.NON_FINITE, Status.NO_ASCENT_DIRECTION):
                    _again(self.loop, self.start, outcome.steps_done)
            except BaseException:
                self.start.restore()
                raise
        self.taken = outcome.steps_done
        return written(outcome.status, outcome.steps_done, self.loss, outcome.norms)

    def _along_line(self, problem: Problem, steps: int) -> Ascent:
        """The first steps of the route."""
        assert self.loop is not None
        assert self.route is not None
        line = FrozenLine(self.loop.schedule)
        if self.goal is not None:
            line = ObjectiveLine(self.loop.schedule, problem, self.goal, self.biases)
        ascent = self.route.climb(line, steps)
        ascent.loss[0] = float(self.loss)
        self.taken = ascent.steps_done
        return ascent

    def grad_norm_sq(self, problem: Problem) -> float | None:
        """||g||^2 at the weights as they are now, by one more pass down."""
        del problem
        if self.loop is None:
            return None
        with torch.no_grad(), BACKWARD:
            return float(self.loop.schedule.grad_norm_sq())

    def step_back(self, problem: Problem) -> bool:
        """Take the last step back: from the start again, with one step less."""
        if self.loop is None or self.start is None or not self.taken:
            return False
        self.taken -= 1
        with torch.no_grad():
            if self.route is None:
                _again(self.loop, self.start, self.taken)
            else:
                self.start.restore()
                self._along_line(problem, self.taken)
        return True


def prepare(problem: Problem, climb: Climb) -> HalfHvpState | Declined:
    """One forward pass, the gradient at the last layer, slopes, Gram matrices and bases."""
    try:
        with CAPTURE:
            chain = read_chain(problem)
            layers, top = freeze(problem, chain, climb.bases)
    except NoChain as reason:
        return Declined(f"the model is no chain of linear layers and activations: {reason}")
    loss = chain.loss.detach()
    held = _held(chain, layers)
    state = HalfHvpState(layers, loss, held=held, engine=Engine("half_hvp", _CHAIN))
    state.route = climb.route()
    pairs = zip(chain.links, layers, strict=True)
    state.biases = [link.bias if layer.counts[1] else None for link, layer in pairs]
    del chain
    with torch.no_grad():
        last = layers[-1]
        last.D.copy_(top)
        last.D_before = last.D  # it never changes
        with BASIS:
            moving = movers(layers)
        if moving:
            recordings, top_norm_sq = recordings_of(problem.model), last.gradient_norm_sq()
            lower = layers[:-1]
            recorded = recordings.records(top_norm_sq.device) and state.goal is None
            gradients = together(lower) if recorded else lower
            schedule = Schedule(layers, moving, gradients, top_norm_sq, climb.lr, climb.steps)
            if state.route is None:
                state.loop = recordings.loop_for(schedule, climb.cap, state)
            else:
                # How many trials a step takes is up to the norms: on a GPU too the host asks.
                state.loop = Eager(schedule, climb.cap)
            with UPDATE:
                state.start = Start(problem, _weights(moving))
            state.before = state.start.values
    return state


def _weights(moving: Movers) -> Parameters:
    """What is written, by name."""
    layers = [layer for mover in moving for layer in mover.layers]
    found = {layer.name: layer.weight for layer in layers}
    biased = [layer for layer in layers if layer.bias_name is not None]
    return found | {str(x.bias_name): x.bias for x in biased if x.bias is not None}


def _held(chain: Chain, layers: list[FrozenLayer]) -> dict[str, str]:
    """Biases that count and whose weights do not: they move with those only."""
    pairs = zip(chain.links, layers, strict=True)
    alone = (link.bias for link, layer in pairs if layer.counts == (False, True))
    return {bias: "used in linear" for bias in alone if bias is not None}


def _again(loop: Loop, start: Start, steps: int) -> None:
    """Go back to the start and take the first ``steps`` steps, the same to the last bit."""
    start.restore()
    if steps:
        loop.run(steps)

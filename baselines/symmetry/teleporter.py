"""The symmetry method as users see it: options, variants, guarantee."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from baselines.symmetry.actions import pseudo_inverse, required_inverse
from baselines.symmetry.extraction import extract
from baselines.symmetry.line import OrbitLine
from baselines.symmetry.mlp import MLP, with_ones
from baselines.symmetry.operations import symmetry_operations
from baselines.symmetry.search import Batch
from baselines.symmetry.steps import (
    Visit,
    exact_sweeps,
    exact_visit,
    published_2022_visit,
    published_2023_visit,
)
from teleport_core.ascent import Ascent, ascend, nowhere
from teleport_core.errors import ModelError, OptionError
from teleport_core.interface import State, Teleporter
from teleport_core.nullspace.growth import Plan
from teleport_core.nullspace.lr_steps import LrSteps
from teleport_core.objectives.goal import goal_of, is_of_parameters, is_plain
from teleport_core.operations import Phases
from teleport_core.option_checks import require_bool, require_choice
from teleport_core.phases import CAPTURE
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Guarantee, Status, TeleportResult

ACTIONS = ("preactivations", "activations")


@dataclass
class SymmetryState(State):
    """What holds for every step of one batch.

    Attributes:
        batch: the MLP, its inputs and its loss.
        columns_fit: whether the batch has at most as many columns as every inverted matrix rows.
        input_pinv: pseudo-inverse of the inputs with their ones row, for the 2022 action.
        hidden: inputs of the pairs, for the released 2023 code, and in
        hidden_pinv: their pseudo-inverses.
        route: how steps of any length are chosen, for growth and objectives; else None.
    """

    batch: Batch
    columns_fit: bool
    input_pinv: Tensor | None = None
    hidden: Sequence[Tensor] = ()
    hidden_pinv: Sequence[Tensor] = ()
    route: Plan | LrSteps | None = None


@dataclass(frozen=True, kw_only=True)
class SymmetryTeleporter(Teleporter):
    """Ascent on the gradient norm along the orbits of GL(width) on the hidden layers of an MLP.

    Attributes:
        acts_on: "preactivations", the action of Zhao et al. 2023 (arXiv 2305.13404), or
            "activations", that of Zhao et al. 2022 (arXiv 2205.10637), for LeakyReLU and linear
            nets only.
        published: compute what the authors' released code computes, step for step, on nets
            without biases. ``lr`` then multiplies the gradient of ||g||^2, else that of
            1/2 ||g||^2; the cap is tested as ||g||^2 > cap, else >=.

    Without ``published`` the outputs on the batch stay the same to rounding as long as the batch
    has no more columns than every inverted matrix has rows: the hidden widths, or for
    "activations" the layers' inputs but the last one's, plus one for a bias.

    What no sample of the batch sees is kept then, where the papers' formulas lower ||g||^2 before
    any ascent (``baselines.symmetry.actions``). The released code measures ||g||^2 at weights
    which are not the model's: those entries of its results are NaN, and so are losses of the 2023
    code after the first step.
    """

    name: ClassVar[str] = "symmetry"
    promise: ClassVar[str] = (
        "outputs on the batch stay while samples <= widths; as published to first order"
    )

    acts_on: str = "preactivations"
    published: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        self._keep(
            acts_on=require_choice("acts_on", self.acts_on, ACTIONS),
            published=require_bool("published", self.published),
        )
        if is_of_parameters(self.objective):
            raise OptionError(
                f"expected an objective that is a function of the gradient for {self.name}; got "
                f"{type(self.objective).__name__}, one of the parameters: use method='nullspace'"
            )

    def prepare(self, problem: Problem) -> SymmetryState:
        """Extract the MLP and invert what stays the same over all steps.

        Raises:
            ModelError: a model that is no MLP, see ``extract``; biases with ``published``; an
                activation without inverse with acts_on="activations".
            ProblemError: inputs that do not fit the first layer.
        """
        with CAPTURE:
            mlp, inputs = extract(problem)
        self._check(mlp)
        leading = inputs.shape[:-1]
        X = inputs.reshape(-1, inputs.shape[-1]).T  # columns are samples

        def loss_of(output: Tensor) -> Tensor:
            return problem.loss_of(output.reshape(*leading, output.shape[-1]))

        state = SymmetryState(Batch(mlp, X, loss_of), self._columns_fit(mlp, X))
        goal = goal_of(self.objective, self.direction, problem)
        if self.growth is not None:
            state.route = Plan(self.growth, self.steps, self.cap, goal)
        elif goal is not None:
            state.route = LrSteps(self.lr, self.cap, goal)
        matrices = list(mlp.read(problem.detached()).values())
        with torch.no_grad():
            if self.acts_on == "activations":
                state.input_pinv = pseudo_inverse(with_ones(X, matrices[0]))
            elif self.published:
                with CAPTURE:
                    state.hidden = mlp.layer_inputs(matrices, X)[:-1]
                state.hidden_pinv = [pseudo_inverse(h) for h in state.hidden]
        return state

    def advance(self, problem: Problem, state: SymmetryState) -> TeleportResult:
        """Take all steps and write the parameters."""
        mlp = state.batch.mlp
        if not mlp.activations:
            # A net of depth one has no hidden layer, hence no symmetry of this kind.
            nothing = nowhere(Status.NO_ASCENT_DIRECTION)
            return nothing.result(Guarantee.EXACT_EVERYWHERE)
        ranks: list[Tensor] = []
        # The released code goes on at ||g||^2 == cap, which is >= for the next number up.
        cap = math.nextafter(self.cap, math.inf) if self.published else self.cap
        start = mlp.read(problem.detached())
        if state.route is None:
            ascent = ascend(start, self._visit(state, ranks), self.steps, cap)
        else:
            ascent = _along_line(state, state.route, start, self.steps, ranks)
        if ascent.previous is not None:
            # It may be the model's own storage, which is about to be written.
            previous = mlp.split(ascent.previous)
            state.previous = {name: value.clone() for name, value in previous.items()}
        if ascent.parameters is not None:
            state.write(problem, mlp.split(ascent.parameters))
        return self._known(ascent).result(self._guarantee(state, ranks))

    @property
    def grows(self) -> bool:
        """All but the released code, which measures ||g||^2 elsewhere than it goes."""
        return not self.published

    @property
    def takes_objectives(self) -> bool:
        """All but the released code, which climbs ||g||^2."""
        return not self.published

    def stands_at_cap(self, grad_norm_sq: float) -> bool:
        """With ``published`` nobody can say by the model's own norm, which is not what it tests."""
        return not self.published and super().stands_at_cap(grad_norm_sq)

    def operations(
        self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int
    ) -> Phases | None:
        """What ``prepare`` and a step compute; None with ``growth`` and for other objectives."""
        if self.growth is not None or not is_plain(self.objective, self.direction):
            return None
        return symmetry_operations(
            self.acts_on, self.published, widths, n, bias=bias, itemsize=itemsize
        )

    def _check(self, mlp: MLP) -> None:
        if self.acts_on == "activations":
            for m in range(len(mlp.activations)):
                required_inverse(mlp, m)
        for layer in mlp.layers:
            if self.published and layer.bias is not None:
                raise ModelError(
                    "expected layers without biases for published=True, because the released code "
                    f"knows none; got {layer.bias}: build them with nn.Linear(..., bias=False), "
                    "or use published=False"
                )

    def _columns_fit(self, mlp: MLP, X: Tensor) -> bool:
        if self.acts_on == "preactivations":  # inverts sigma(gVh)
            rows = [layer.out_features for layer in mlp.layers[:-1]]
        else:  # inverts h with its ones row
            rows = [layer.in_features + (layer.bias is not None) for layer in mlp.layers[:-1]]
        return X.shape[1] <= min(rows, default=X.shape[1])

    def _visit(self, state: SymmetryState, ranks: list[Tensor]) -> Visit:
        if not self.published:
            return exact_visit(state.batch, state.input_pinv, self.lr, ranks)
        if state.input_pinv is not None:
            return published_2022_visit(state.batch, state.input_pinv, self.lr)
        return published_2023_visit(state.batch, state.hidden, state.hidden_pinv, self.lr)

    def _known(self, ascent: Ascent) -> Ascent:
        """With losses and norms that are those of the visited weights; NaN for the others."""
        if not self.published:
            return ascent
        unknown = [math.nan] * len(ascent.loss)
        # Projected weights have the loss of the model's own where the hidden activations they are
        # projected on are the model's own: always in the 2022 search, at first in the 2023 code.
        loss = ascent.loss if self.acts_on == "activations" else [ascent.loss[0], *unknown[1:]]
        return replace(ascent, loss=loss, grad_norm_sq=unknown)

    def _guarantee(self, state: SymmetryState, ranks: list[Tensor]) -> Guarantee:
        if not state.columns_fit:
            return Guarantee.APPROXIMATE
        if self.published:
            return Guarantee.FIRST_ORDER
        # Fewer columns than units is not enough where units are dead or samples repeat.
        columns = state.batch.inputs.shape[1]
        full = all(float(rank) > columns - 0.5 for rank in ranks)
        return Guarantee.EXACT_ON_BATCH if full else Guarantee.APPROXIMATE


def _along_line(
    state: SymmetryState,
    route: Plan | LrSteps,
    start: Parameters,
    steps: int,
    ranks: list[Tensor],
) -> Ascent:
    """The first steps of a route; nothing is written to the model."""
    sweeps = exact_sweeps(state.batch, state.input_pinv)
    line = OrbitLine(state.batch, sweeps, start, route.goal)
    ascent = route.climb(line, steps)
    ranks += line.ranks
    if not ascent.steps_done:
        return ascent
    return replace(ascent, parameters=line.parameters, previous=line.origin)

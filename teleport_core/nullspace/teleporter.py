"""The null-space method as users see it: options, engines, guarantee."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from teleport_core.errors import ModelError
from teleport_core.interface import (
    Guarantee,
    Status,
    Teleporter,
    TeleportResult,
    require_choice,
)
from teleport_core.layers import LinearLayer
from teleport_core.nullspace import textbook
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.problem import Problem
from teleport_core.rank import resolve_rule

ENGINES = ("auto", "textbook")


@dataclass(frozen=True, kw_only=True)
class NullSpaceTeleporter(Teleporter):
    """Ascent on 1/2 ||g||^2 inside the null space of every layer's input.

    Attributes:
        tau: share of input energy that counts as significant, in (0, 1]; 1 is exact.
        rank_rule: "numerical", "energy", "gpm" or "energy_float32"; default numerical rank at
            tau = 1 and energy (Eq. 3) below.
        engine: how a step is computed; "auto" picks the fastest that is exact for the problem.
    """

    name: ClassVar[str] = "nullspace"

    tau: float = 1.0
    rank_rule: str | None = None
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_choice("engine", self.engine, ENGINES)
        resolve_rule(self.rank_rule, self.tau)

    @property
    def rule(self) -> str:
        """The rank rule in force."""
        return resolve_rule(self.rank_rule, self.tau)

    def prepare(self, problem: Problem) -> TextbookState:
        """Find the movable layers and the bases of their inputs; one SVD per layer."""
        state = textbook.prepare(problem, self.rule, self.tau)
        if not state.layers:
            raise ModelError(
                f"expected a weight that is linear in its input and nothing else; "
                f"{type(problem.model).__name__} has none: nullspace moves nn.Linear layers"
            )
        return state

    def advance(self, problem: Problem, state: TextbookState) -> TeleportResult:
        """Take all steps and write the parameters."""
        if not any(basis.free for basis in state.bases):
            return self._nothing_free(state)
        ascent = textbook.advance(problem, state, self.lr, self.steps, self.cap)
        if ascent.parameters is not None:
            problem.write(_moved(ascent.parameters, state.layers))
        if ascent.previous is not None:
            state.previous = _moved(ascent.previous, state.layers)
        return TeleportResult(
            status=ascent.status,
            steps_done=ascent.steps_done,
            loss=ascent.loss,
            grad_norm_sq=ascent.grad_norm_sq,
            null_dims=self._null_dims(state),
            guarantee=self._guarantee(),
        )

    def _nothing_free(self, state: TextbookState) -> TeleportResult:
        return TeleportResult(
            status=Status.NO_NULL_SPACE,
            steps_done=0,
            loss=[float("nan")],
            grad_norm_sq=[float("nan")],
            null_dims=self._null_dims(state),
            guarantee=self._guarantee(),
        )

    def _null_dims(self, state: TextbookState) -> dict[str, list[int] | None]:
        # At exact rank a layer fed by data alone has a zero projection (R{X} = 0): it never moves.
        exact = self._guarantee() is Guarantee.EXACT_ON_BATCH
        return {
            layer.weight: None if exact and layer.data_fed else [basis.free]
            for layer, basis in zip(state.layers, state.bases, strict=True)
        }

    def _guarantee(self) -> Guarantee:
        exact = self.tau == 1.0 and self.rule in ("numerical", "energy")
        return Guarantee.EXACT_ON_BATCH if exact else Guarantee.APPROXIMATE


def _moved(parameters: Mapping[str, Tensor], layers: list[LinearLayer]) -> dict[str, Tensor]:
    names = [name for layer in layers for name in (layer.weight, layer.bias) if name]
    return {name: parameters[name] for name in names}

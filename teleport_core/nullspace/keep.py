"""Bases for several calls on one batch."""

from typing import Any

from torch import nn

from teleport_core.forward.arguments import usable
from teleport_core.forward.undo import Undo
from teleport_core.nullspace.bases.kept import Bases
from teleport_core.nullspace.teleporter import NullSpaceTeleporter
from teleport_core.problem import LossFn, Problem
from teleport_core.verification.problem_checks import check_problem, require_pair


def keep_bases(
    model: nn.Module,
    loss_fn: LossFn,
    batch: tuple[Any, Any],
    *,
    tau: float = 1.0,
    rank_rule: str | None = None,
    engine: str = "auto",
) -> Bases:
    """Find the bases of the inputs of every layer once, for several calls on one batch.

    ``teleport(model, loss_fn, batch, bases=bases)`` then decomposes nothing. At ``tau=1`` a call
    changes no layer's inputs, so that the bases hold for the next one; a call for which they do
    not hold is refused. Nothing is other than before afterwards.

    Args:
        model: as for ``teleport``.
        loss_fn: likewise.
        batch: likewise; targets may be others in the calls.
        tau: the option of ``nullspace`` with which the calls are made.
        rank_rule: likewise.
        engine: likewise.

    Raises:
        OptionError, ProblemError, ModelError: what ``teleport`` refuses.
    """
    teleporter = NullSpaceTeleporter(tau=tau, rank_rule=rank_rule, engine=engine)
    problem = Problem(model, loss_fn, *map(usable, require_pair(batch)))
    check_problem(problem)
    undo = Undo(problem)
    try:
        undo.own.set_gradients_aside()
        return teleporter.bases_of(problem)
    finally:
        undo.everything()

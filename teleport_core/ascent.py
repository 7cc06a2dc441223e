"""The loop that all ascent methods share: CAP before each step, rollback when it diverges."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import nan

import torch
from torch import Tensor

from teleport_core.norms import real_view
from teleport_core.phases import CHECK, UPDATE
from teleport_core.problem import Parameters
from teleport_core.results import Engine, Guarantee, Status, TeleportResult


@dataclass(frozen=True)
class Point:
    """One visited point: its loss, its ||g||^2 and how to leave it uphill.

    ``move`` is called only when a step is taken; it returns the new parameters, or None when
    there is no way up.
    """

    loss: Tensor
    grad_norm_sq: Tensor
    move: Callable[[], Parameters | None]


@dataclass(frozen=True)
class Ascent:
    """Where an ascent ended.

    Attributes:
        parameters: where it ended; None when nothing moved, or when it is written already.
        previous: the point before the last step, likewise.
        loss: one entry per visited point; NaN where not computed.
        grad_norm_sq: likewise.
        taus: the tau of each step, where the method chose it; else empty.
        lengths: the share of each step that was taken; empty where all are whole.
        lrs: the lr of each step, where growth chose it; else empty.
        objective: one entry per visited point; empty where it is 1/2 ||g||^2.
    """

    status: Status
    steps_done: int
    parameters: Parameters | None
    previous: Parameters | None
    loss: list[float]
    grad_norm_sq: list[float]
    taus: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)

    def result(
        self,
        guarantee: Guarantee,
        null_dims: dict[str, list[int] | None] | None = None,
        held: dict[str, str] | None = None,
        engine: Engine = Engine("", ""),  # noqa: B008  (a tuple)
    ) -> TeleportResult:
        """What ``advance`` of a teleporter answers."""
        return TeleportResult(
            status=self.status,
            steps_done=self.steps_done,
            loss=self.loss,
            grad_norm_sq=self.grad_norm_sq,
            null_dims=null_dims or {},
            guarantee=guarantee,
            held=held or {},
            taus=self.taus,
            lengths=self.lengths,
            lrs=self.lrs,
            engine=engine,
            objective=self.objective or halves(self.grad_norm_sq),
        )


def halves(norms: list[float]) -> list[float]:
    """1/2 ||g||^2 of every ||g||^2."""
    return [norm / 2 for norm in norms]


def nowhere(status: Status) -> Ascent:
    """No step, and no look at the starting point."""
    return Ascent(status, 0, None, None, [nan], [nan], objective=[nan])


def written(status: Status, steps_done: int, loss: Tensor, norms: list[float]) -> Ascent:
    """Steps written as they were taken; ``norms`` before each of them, and where they stopped."""
    rest = [nan] * (status is Status.DONE)
    losses = [float(loss), *[nan] * (len(norms) - 1), *rest]
    return Ascent(status, steps_done, None, None, losses, [*norms, *rest] or [nan])


def ascend(
    start: Parameters, visit: Callable[[Parameters], Point], steps: int, cap: float
) -> Ascent:
    """Algorithm 1, lines 5-11, of the null-space paper, for any ascent step.

    The cap is tested before each step, as there, so the last step may pass it. The point reached
    by the last step is not visited: its loss and gradient norm are NaN.
    """
    points = [start]
    loss: list[Tensor] = []
    norms: list[Tensor] = []
    status = Status.DONE
    for _ in range(steps):
        point = visit(points[-1])
        finite = bool(torch.isfinite(point.loss) & torch.isfinite(point.grad_norm_sq))
        moved = None
        if finite:
            loss.append(point.loss)
            norms.append(point.grad_norm_sq)
            if float(point.grad_norm_sq) >= cap:
                status = Status.CAPPED
                break
            moved = point.move()
            if moved is None:
                status = Status.NO_ASCENT_DIRECTION
                break
        if moved is None or not all_finite(moved):
            status = Status.NON_FINITE
            if not finite and len(points) > 1:
                points.pop()
            break
        with UPDATE:
            # The weights before the last step and the graph at this point go now, and not when
            # the next visit has made its own.
            points = [points[-1], moved]
            del point
    taken = len(loss) - (status is not Status.DONE)
    return _finish(status, points, loss, norms, taken)


def _finish(
    status: Status, points: list[Parameters], loss: list[Tensor], norms: list[Tensor], taken: int
) -> Ascent:
    """Turn device scalars into numbers, once, after the loop."""
    if status is Status.DONE:
        unknown = torch.tensor(nan)
        loss, norms = [*loss, unknown], [*norms, unknown]
    return Ascent(
        status=status,
        steps_done=max(taken, 0),
        parameters=points[-1] if taken > 0 else None,
        previous=points[0] if len(points) > 1 else None,
        loss=[float(value) for value in loss] or [nan],
        grad_norm_sq=[float(value) for value in norms] or [nan],
    )


def all_finite(parameters: Parameters) -> bool:
    """Whether no value is infinite or NaN."""
    with CHECK:
        # The extremes are finite, and no NaN, if all are: seven times as fast as asking each.
        filled = [real_view(value) for value in parameters.values() if value.numel()]
        ends = [end for value in filled for end in value.aminmax()]
        return bool(torch.isfinite(torch.stack(ends)).all()) if ends else True

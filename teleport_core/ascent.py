"""The loop that all ascent methods share: CAP before each step, rollback when it diverges."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.interface import Status
from teleport_core.phases import CHECK, UPDATE
from teleport_core.problem import Parameters


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
    """Where the loop ended.

    ``parameters`` is None when nothing moved; ``previous`` is the point before the last step.
    """

    status: Status
    steps_done: int
    parameters: Parameters | None
    previous: Parameters | None
    loss: list[float]
    grad_norm_sq: list[float]


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
    nan = torch.tensor(float("nan"))
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
    return _finish(status, points, loss, norms, taken, nan)


def _finish(
    status: Status,
    points: list[Parameters],
    loss: list[Tensor],
    norms: list[Tensor],
    taken: int,
    nan: Tensor,
) -> Ascent:
    """Turn device scalars into numbers, once, after the loop."""
    if status is Status.DONE:
        loss, norms = [*loss, nan], [*norms, nan]
    return Ascent(
        status=status,
        steps_done=max(taken, 0),
        parameters=points[-1] if taken > 0 else None,
        previous=points[0] if len(points) > 1 else None,
        loss=[float(value) for value in loss] or [float("nan")],
        grad_norm_sq=[float(value) for value in norms] or [float("nan")],
    )


def all_finite(parameters: Parameters) -> bool:
    """Whether no value is infinite or NaN."""
    with CHECK:
        # The extremes are finite, and no NaN, if all are: seven times as fast as asking each.
        ends = [end for value in parameters.values() if value.numel() for end in value.aminmax()]
        return bool(torch.isfinite(torch.stack(ends)).all()) if ends else True

"""The loss that a run has to arrive at, fixed by pilot runs of plain training.

Arrival is a first crossing, so what a pilot run reaches is its lowest loss, not its last.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from bench.errors import RunError
from bench.seeds import stable_hash
from bench.statistics.training.arrivals import Curve, alive, checked


def best_loss(curve: Curve, budget: float = math.inf) -> float:
    """The lowest loss that a run reaches up to ``budget``, in the unit of its axis.

    inf if it diverged by then, or had no evaluation.

    Raises:
        ValueError: no curve (see ``arrivals.checked``).
    """
    axis, losses = checked(curve)
    losses = losses[axis <= budget]
    if alive(losses) < len(losses) or not len(losses):
        return math.inf
    return float(losses.min())


def target_of(final_losses: Sequence[float]) -> float:
    """The median of what pilot runs of plain training, at its best tuned lr, reach at the budget.

    A run that diverged (NaN, inf) counts as one that reaches nothing.

    Raises:
        RunError: no pilot run, or too many of them diverged for a median.
    """
    losses = [loss if math.isfinite(loss) else math.inf for loss in final_losses]
    target = median(losses) if losses else math.inf
    if math.isfinite(target):
        return target
    raise RunError(
        f"expected pilot runs of which more than half end with a finite loss; got "
        f"{list(final_losses)}: tune plain training to a smaller lr first"
    )


def target_hash(final_losses: Mapping[int, float], facts: Mapping[str, str | float]) -> str:
    """64 hex digits that stand for a target: change when anything it was derived from changes.

    ``final_losses`` are those of the pilot seeds, ``facts`` what else the target rests on: model,
    dataset, optimizer, lr, budget and its unit. The order of either does not count.
    """
    losses = {str(seed): float(loss) for seed, loss in final_losses.items()}
    return stable_hash(["target", losses, dict(facts)])

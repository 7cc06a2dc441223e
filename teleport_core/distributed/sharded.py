"""Every rank carries out the call on its own samples, and what is summed over samples is reduced.

The loss is the mean over the samples of all ranks, sum_r c_r/c L_r, where c_r is what the mean L_r
of a rank's own loss divides by: what DistributedDataParallel trains on where all c_r are equal.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from teleport_core.distributed.exchange import broadcast, exchange
from teleport_core.distributed.fingerprint import values_of
from teleport_core.distributed.mean_over import Weighted
from teleport_core.distributed.ranks import Ranks
from teleport_core.errors import RankError
from teleport_core.forward.belongings import Belongings
from teleport_core.problem import Problem
from teleport_core.results import Across, TeleportResult

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def on_shards(
    group: "ProcessGroup",
    problem: Problem,
    counts: list[float | None],
    alone: Callable[[Problem], TeleportResult],
    why: str,
) -> TeleportResult:
    """Teleport on the shards of all ranks; ``counts`` has c_r of each, None for a sum.

    Raises:
        RankError: another rank failed, ended, or does not answer within the group's timeout.
        TeleportError: this rank's own, or one that all ranks meet.
    """
    own = Belongings(problem.modules())
    ranks = Ranks(group, next(iter(problem.parameters().values())).device)
    try:
        weight = counts[ranks.rank]
        loss_fn = problem.loss_fn
        if weight is not None:
            loss_fn = Weighted(loss_fn, weight / sum(one for one in counts if one is not None))
        result = alone(replace(problem, loss_fn=loss_fn, ranks=ranks))
        _settle(group, ranks, dict(problem.model.named_parameters()))
    except BaseException as error:
        try:
            if not isinstance(error, RankError):
                ranks.tell(error)
        finally:
            own.put_all_back()
        raise
    across = Across("sharded", why, ranks.size, round(ranks.floats), round(ranks.bytes))
    return replace(result, across=across)


def _settle(group: "ProcessGroup", ranks: Ranks, parameters: dict[str, Tensor]) -> None:
    """Where ranks round otherwise, as by other numbers of threads, all take the first's weights."""
    digest = values_of(parameters.items())
    ranks.words("the end of its teleport")
    if len(set(exchange(group, "the end of its teleport", digest))) > 1:
        broadcast(group, list(parameters.values()))
        exchange(group, "the values of the first rank", None)

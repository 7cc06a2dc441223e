"""Every rank carries out the call of a single process on the batch of all ranks.

Inputs and targets are gathered once; after that no rank needs another until the end, where they
compare what they reached. The result is that of one process with the whole batch, bit for bit.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from teleport_core.distributed.exchange import broadcast, exchange, failure_of
from teleport_core.distributed.fingerprint import fingerprint, values_of
from teleport_core.distributed.group import unwrapped
from teleport_core.distributed.shards import kind_of, shard_of, together
from teleport_core.errors import ModelError, RankError
from teleport_core.forward.belongings import Belongings
from teleport_core.interface import Teleporter
from teleport_core.problem import LossFn, Problem
from teleport_core.results import TeleportResult
from teleport_core.verification.problem_checks import check_without_running, same_loss

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Alone = Callable[[Problem], TeleportResult]


def across(
    group: "ProcessGroup",
    model: nn.Module,
    loss_fn: LossFn,
    read: Callable[[], tuple[Any, Teleporter, str]],
    alone: Callable[[Problem, Teleporter, str], TeleportResult],
) -> TeleportResult:
    """Teleport a model that every rank of a group holds, on the batches of all ranks together.

    Args:
        group: of more than one process; each makes this call.
        model: the same on every rank, inside DistributedDataParallel or not.
        loss_fn: as for a single process, likewise the same.
        read: gives this rank's batch, the method and what it is held to, or refuses them.
        alone: the call of a single process.

    Raises:
        RankError: another rank failed, ended, or does not answer within the group's timeout.
        TeleportError: this rank's own, or one that all ranks meet. Parameters and buffers are then
            as before, bit for bit, on every rank that still runs.
    """
    try:
        batch, teleporter, verify = read()
        problem = Problem(unwrapped(model, group), loss_fn, *batch)
        check_without_running(problem)
        _refuse_batch_statistics(problem)
        word = fingerprint(problem, teleporter, verify) | {"the kind of batch": kind_of(batch)}
        words = exchange(group, "its options and its share of the batch", (word, shard_of(batch)))
    except RankError:
        raise
    except BaseException as error:
        _tell(group, "its options and its share of the batch", error)
        raise
    _require_same([word for word, _ in words], group.rank())
    whole = together(batch, [shard for _, shard in words])
    own = Belongings(problem.modules())
    try:
        problem = Problem(problem.model, loss_fn, *whole)
        return _agreed(group, problem, lambda one: alone(one, teleporter, verify))
    except BaseException:
        own.put_all_back()
        raise


def _agreed(group: "ProcessGroup", problem: Problem, alone: Alone) -> TeleportResult:
    """Carry the call out, and hear that all ranks did and where they ended."""
    try:
        result = alone(problem)
        word = (values_of(_tensors(problem.model).items()), result)
    except BaseException as error:
        _tell(group, "its teleport", error)
        raise
    words = exchange(group, "its teleport", word)
    digests, results = zip(*words, strict=True)
    first: TeleportResult = results[0]
    if len(set(digests)) == 1:
        return result
    # Sums of another order, as of other numbers of threads, and nothing else may part the ranks.
    for rank, one in enumerate(results):
        if not same_loss(problem, one.loss[0], first.loss[0]):
            raise RankError(
                f"expected the same loss of the same batch on all ranks; rank {rank} got "
                f"{one.loss[0]!r}, the first {first.loss[0]!r}: have every rank call with the same "
                "loss_fn and model"
            )
    broadcast(group, list(_tensors(problem.model).values()))
    exchange(group, "the values of the first rank", None)
    return first


def _tell(group: "ProcessGroup", what: str, error: BaseException) -> None:
    """Have the others know; what they say no longer matters here."""
    with suppress(RankError):
        exchange(group, what, failure_of(error))


def _require_same(words: list[dict[str, str]], rank: int) -> None:
    for part in words[0]:
        others = [i for i, word in enumerate(words) if word[part] != words[0][part]]
        if others:
            cure = "broadcast those of one rank, or " if part in {"parameters", "buffers"} else ""
            raise RankError(
                f"expected {part} to be the same on all ranks; got others on "
                f"{', '.join(f'rank {i}' for i in others)} than on rank 0 (this is rank {rank}): "
                f"{cure}make the same call everywhere"
            )


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, which a method may move, by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _refuse_batch_statistics(problem: Problem) -> None:
    """A rank trains with statistics of its own samples, of which the whole batch has others."""
    for module in problem.modules():
        for name, one in module.named_modules():
            if isinstance(one, _BatchNorm) and (one.training or one.running_mean is None):
                raise ModelError(
                    "expected outputs of a sample that depend on no other, as the ranks' batches "
                    f"are put together; {name or 'the model'} ({type(one).__name__}) normalizes by "
                    "statistics of a batch: call model.eval(), or use another norm"
                )

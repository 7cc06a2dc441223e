"""Every rank carries out the call of a single process on the batch of all ranks.

Inputs and targets are gathered once; after that no rank needs another until the end, where they
compare what they reached. The result is that of one process with the whole batch, bit for bit.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from teleport_core.distributed.choice import way_of
from teleport_core.distributed.exchange import broadcast, exchange, failure_of
from teleport_core.distributed.fingerprint import fingerprint, values_of
from teleport_core.distributed.group import unwrapped
from teleport_core.distributed.mean_over import divisor
from teleport_core.distributed.sharded import on_shards
from teleport_core.distributed.shards import kind_of, shard_of, together
from teleport_core.errors import RankError
from teleport_core.forward.belongings import Belongings
from teleport_core.interface import Teleporter
from teleport_core.problem import LossFn, Problem
from teleport_core.results import Across, TeleportResult
from teleport_core.verification.problem_checks import check_without_running, same_loss

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Alone = Callable[[Problem], TeleportResult]


def across(
    group: "ProcessGroup",
    model: nn.Module,
    loss_fn: LossFn,
    read: Callable[[], tuple[Any, Teleporter, str, str]],
    alone: Callable[[Problem, Teleporter, str], TeleportResult],
) -> TeleportResult:
    """Teleport a model that every rank of a group holds, on the batches of all ranks together.

    Args:
        group: of more than one process; each makes this call.
        model: the same on every rank, inside DistributedDataParallel or not.
        loss_fn: as for a single process, likewise the same.
        read: gives this rank's batch, the method, what it is held to and which way the call is to
            go, one of ``choice.WAYS``, or refuses them.
        alone: the call of a single process.

    Raises:
        RankError: another rank failed, ended, or does not answer within the group's timeout.
        TeleportError: this rank's own, or one that all ranks meet. Parameters and buffers are then
            as before, bit for bit, on every rank that still runs.
    """
    try:
        batch, teleporter, verify, asked = read()
        problem = Problem(unwrapped(model, group), loss_fn, *batch)
        check_without_running(problem)
        way = way_of(problem, teleporter, asked)
        whole = way.name == "replicated"
        word = fingerprint(problem, teleporter, verify) | {"which way it goes": repr(way)}
        word |= {"the kind of batch": kind_of(batch)} if whole else {}
        share = shard_of(batch) if whole else divisor(loss_fn, batch[1])
        words = exchange(group, "its options and its share of the batch", (word, share))
    except RankError:
        raise
    except BaseException as error:
        _tell(group, "its options and its share of the batch", error)
        raise
    _require_same([word for word, _ in words], group.rank())
    call: Alone = lambda one: alone(one, teleporter, verify)  # noqa: E731
    if not whole:
        return on_shards(group, problem, [share for _, share in words], call, way.why)
    result = _on_whole(group, problem, batch, [shard for _, shard in words], call)
    return replace(result, across=_received(group, way.why, [shard for _, shard in words]))


def _on_whole(
    group: "ProcessGroup", problem: Problem, batch: Any, shards: list[list[Tensor]], call: Alone
) -> TeleportResult:
    """The call of a single process, on the samples of all ranks."""
    whole = together(batch, shards)
    own = Belongings(problem.modules())
    try:
        return _agreed(group, Problem(problem.model, problem.loss_fn, *whole), call)
    except BaseException:
        own.put_all_back()
        raise


def _received(group: "ProcessGroup", why: str, shards: list[list[Tensor]]) -> Across:
    """What this rank had of the others' batches."""
    others = [one for rank, own in enumerate(shards) if rank != group.rank() for one in own]
    sizes = [one.numel() for one in others]
    octets = sum(one.numel() * one.element_size() for one in others)
    return Across("replicated", why, len(shards), sum(sizes), octets)


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

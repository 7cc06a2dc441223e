"""What ranks tell each other: a word each, and who failed in place of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from teleport_core.errors import RankError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_SHOWN = 500


class Failure(NamedTuple):
    """What a rank sends in place of a word."""

    text: str


def failure_of(error: BaseException) -> Failure:
    """The error as a text, cut to what a line holds."""
    return Failure(f"{type(error).__name__}: {error}"[:_SHOWN])


def exchange(group: "ProcessGroup", what: str, word: Any) -> list[Any]:
    """The words of all ranks, in order of ranks.

    Raises:
        RankError: a rank failed, or did not answer within the group's timeout.
    """
    from torch.distributed import all_gather_object

    words: list[Any] = [None] * group.size()
    with answers(what):
        all_gather_object(words, (what, word), group=group)
    failed = {rank: one.text for rank, (_, one) in enumerate(words) if isinstance(one, Failure)}
    if failed:
        said = "; ".join(f"rank {rank} failed with {text}" for rank, text in failed.items())
        raise RankError(f"expected every rank to get through {what}; {said}")
    if any(where != what for where, _ in words):
        where = "; ".join(f"rank {rank} is at {one}" for rank, (one, _) in enumerate(words))
        raise RankError(
            f"expected every rank at {what}; {where}: make as many calls on each, in the same order"
        )
    return [one for _, one in words]


def broadcast(group: "ProcessGroup", tensors: list[torch.Tensor]) -> None:
    """Write what the first rank holds into the tensors of all.

    Raises:
        RankError: a rank did not answer within the group's timeout.
    """
    from torch.distributed import broadcast as send

    with answers("the values of the first rank"), torch.no_grad():
        for tensor in tensors:
            whole = tensor.detach().contiguous()
            send(whole, group=group, group_src=0)
            tensor.data.copy_(whole)


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Name what a rank failed to answer with: one ended, hangs, or does something else."""
    try:
        yield
    except RuntimeError as error:
        raise RankError(
            f"expected every rank to answer with {what}; one ended, hangs or did not make the "
            f"call: {str(error)[:_SHOWN]}"
        ) from error

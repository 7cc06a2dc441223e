"""The ranks of one call: sums and gathers that carry failures, and what goes through the group.

Every exchange begins with a line of a few numbers from each rank: whether it failed, where it is,
how much it sends. A rank that fails sends such a line in place of whatever the others are at, so
that no rank ever waits for one that gave up.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING
from zlib import crc32

import torch
from torch import Tensor

from teleport_core.distributed.exchange import answers, exchange, failure_of
from teleport_core.errors import RankError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_NUMBERS = 6
_END = "its teleport"


class Ranks:
    """All ranks of a group, in one call.

    Attributes:
        size: how many there are.
        rank: this one's number.
        floats: numbers that this rank received, by ring collectives: of an all-gather what the
            others hold, of an all-reduce of m numbers 2 (R-1)/R m.
        bytes: of these numbers and of the lines before them.
    """

    def __init__(self, group: "ProcessGroup", device: torch.device) -> None:
        from torch.distributed import get_backend

        self._group = group
        self._device = device if get_backend(group) == "nccl" else torch.device("cpu")
        self.size, self.rank = group.size(), group.rank()
        self.floats, self.bytes = 0.0, 0.0

    def words(self, what: str, *numbers: float) -> list[list[float]]:
        """A few numbers of each rank, in order of ranks; ``what`` names where it is.

        Raises:
            RankError: a rank failed, is elsewhere, or does not answer within the group's timeout.
        """
        found = self._line(what, 0, numbers)
        if any(line[0] for line in found) or len({line[1] for line in found}) > 1:
            exchange(self._group, what, None)  # says who failed, or who is where
            raise AssertionError(what)
        return [line[2 : 2 + len(numbers)] for line in found]

    def tell(self, error: BaseException) -> None:
        """Have the others know that this rank failed; what they say no longer matters here."""
        with suppress(RankError):
            self._line(_END, 1, ())
            exchange(self._group, _END, failure_of(error))

    def same(self, what: str, fact: object, cure: str) -> None:
        """Refuse a fact that is another on another rank.

        Raises:
            RankError: see there.
        """
        text = repr(fact)
        words = self.words(what, crc32(text.encode()), len(text))
        others = [rank for rank, word in enumerate(words) if word != words[0]]
        if others:
            raise RankError(
                f"expected {what} to be the same on all ranks; got others on "
                f"{', '.join(f'rank {i}' for i in others)} than on rank 0 (this is rank "
                f"{self.rank}): {cure}"
            )

    def total(self, what: str, number: float) -> float:
        """The sum of a number, added in order of ranks: the same bits on all."""
        return sum(word[0] for word in self.words(what, number))

    def sum(self, what: str, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sums over all ranks of tensors that have the same shapes on all, in one exchange."""
        from torch.distributed import all_reduce

        if not tensors:
            return []
        flat = self._flat(tensors)
        sizes = {word[0] for word in self.words(what, len(flat))}
        if len(sizes) > 1:
            raise RankError(
                f"expected {what} of one size on all ranks; got {sorted(map(int, sizes))}: make "
                "the same call everywhere, or write ranks='replicated'"
            )
        with answers(what):
            all_reduce(flat, group=self._group)
        self._received(2 * (self.size - 1) / self.size * len(flat), flat)
        return _cut(flat, tensors, [one.shape for one in tensors])

    def gather(
        self, what: str, tensors: Sequence[Tensor], rows: Sequence[Sequence[int]]
    ) -> list[Tensor]:
        """Tensors [rows, ...] of all ranks, put together along their rows, in one exchange.

        ``rows`` has those of each tensor on each rank, [tensors][ranks], as each rank knows them.
        """
        if not tensors:
            return []
        flat = self._flat(tensors)
        self.words(what)
        row = [prod(one.shape[1:]) for one in tensors]
        sizes = [
            sum(own[rank] * size for own, size in zip(rows, row, strict=True))
            for rank in range(self.size)
        ]
        parts = self._gathered(what, flat, sizes)
        self._received(sum(sizes) - sizes[self.rank], flat)
        cut = []
        for rank, part in enumerate(parts):
            pairs = zip(rows, tensors, strict=True)
            cut.append(_cut(part, tensors, [(own[rank], *one.shape[1:]) for own, one in pairs]))
        return [torch.cat(own) for own in zip(*cut, strict=True)]

    def _gathered(self, what: str, flat: Tensor, sizes: list[int]) -> list[Tensor]:
        """Padding would cost the largest share from each; unequal shares go one after another."""
        from torch.distributed import all_gather, broadcast

        parts = [flat.new_empty(size) for size in sizes]
        parts[self.rank].copy_(flat)
        with answers(what):
            if len(set(sizes)) == 1:
                all_gather(parts, flat, group=self._group)
                return parts
            for source, part in enumerate(parts):
                if len(part):
                    broadcast(part, group=self._group, group_src=source)
        return parts

    def _line(self, what: str, failed: int, numbers: Sequence[float]) -> list[list[float]]:
        from torch.distributed import all_gather

        line = [failed, crc32(what.encode()), *numbers, *[0] * (_NUMBERS - len(numbers))]
        own = torch.tensor(line, dtype=torch.float64, device=self._device)
        found = [torch.empty_like(own) for _ in range(self.size)]
        with answers(what):
            all_gather(found, own, group=self._group)
            lines: list[list[float]] = torch.stack(found).tolist()
        self.bytes += (self.size - 1) * own.numel() * own.element_size()
        return lines

    def _flat(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([one.detach().reshape(-1).to(self._device) for one in tensors])

    def _received(self, numbers: float, like: Tensor) -> None:
        self.floats += numbers
        self.bytes += numbers * like.element_size()


def _cut(flat: Tensor, like: Sequence[Tensor], shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """The parts of one buffer, shaped, each in memory of its own where its tensor is."""
    ends = [0]
    for shape in shapes:
        ends.append(ends[-1] + prod(shape))
    return [
        flat[a:b].view(tuple(shape)).to(one.device, one.dtype)
        for (a, b), shape, one in zip(pairwise(ends), shapes, like, strict=True)
    ]

"""A sweep in N parts, each run for itself, perhaps on N machines of one kind."""

import re
from dataclasses import dataclass, replace

from bench.errors import SpecError
from bench.plan.points import Plan

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (1 ... count) of ``count``."""

    index: int
    count: int

    def owns(self, place: int) -> bool:
        """Whether what stands at ``place`` (from 0) of a list belongs to this part."""
        return place % self.count == self.index - 1


WHOLE = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """Read ``I/N``; SpecError: anything else, or I outside 1 ... N."""
    match = _SHARD.fullmatch(text.strip())
    index, count = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise SpecError(
            f"expected a shard I/N with 1 <= I <= N; got {text[:40]!r}: write for example 1/4"
        )
    return Shard(index, count)


def share(plan: Plan, part: Shard) -> Plan:
    """The blocks of a plan that belong to a part."""
    return replace(plan, blocks=plan.blocks[part.index - 1 :: part.count])

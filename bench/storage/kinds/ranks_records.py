"""Records of calls that the ranks of a group share: their times, and what goes over the wire."""

from typing import Annotated

from msgspec import Meta, Struct, field

from bench.storage.record import Level, Record, Whole

Seconds = Annotated[float, Meta(ge=0)]

_MOST = 1000


class RanksCall(Struct, kw_only=True, gc=False):
    """One call, begun by all ranks together: seconds of the rank that took longest.

    Rounds pair up with those of the other records of the unit.
    """

    round: Whole
    seconds: Seconds
    prepare_s: Seconds
    steps_s: Seconds


class RanksRecord(Record, kw_only=True, tag="ranks"):
    """A variant on a number of ranks, one way.

    ``refusal`` says why that cannot be; nothing else is known then. What goes over the wire is what
    the rank received that received most, in a call and in each of its steps; ``operations`` are
    those of the rank that computed most, in a call.
    """

    method: str
    variant: str
    scaling: str = ""  # strong: n samples in all; weak: n samples a rank
    way: str = ""  # alone (a single process), replicated or sharded
    ranks: Level = 1
    samples: Whole | None = None  # of all ranks together
    threads: Whole | None = None  # of a rank
    backend: str = ""
    refusal: str = ""
    operations: Whole | None = None
    wire_floats: Whole | None = None
    wire_bytes: Whole | None = None
    wire_floats_step: Whole | None = None
    wire_bytes_step: Whole | None = None
    calls: Annotated[list[RanksCall], Meta(max_length=_MOST)] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

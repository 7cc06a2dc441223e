"""Records of methods on networks: what each costs there, keeps and gains."""

from typing import Annotated

from msgspec import Meta, Struct, field

from bench.storage.record import Record, Whole
from bench.storage.timed_records import WholeCall

Seconds = Annotated[float, Meta(ge=0)]

_MOST = 1000


class TimedStep(Struct, kw_only=True, gc=False):
    """One call: seconds of preparing, of a teleport step, and of an SGD step timed beside it."""

    prepare_s: Seconds
    step_s: Seconds
    sgd_s: Seconds


class NetworkRecord(Record, kw_only=True, tag="network"):
    """A variant on a network.

    ``refusal`` says why the method does not apply; nothing else is known then. ``drift`` is the
    relative change of the loss on the batch, evaluated in float64, ``heldout_drift`` that on data
    that no teleport saw; ``growth`` what ||g||^2 was multiplied by, in ``moved`` steps of ``lr``.
    """

    method: str
    variant: str
    refusal: str = ""
    guarantee: str | None = None
    teleport_status: str | None = None
    steps: Annotated[list[TimedStep], Meta(max_length=_MOST)] = field(default_factory=list)
    calls: Annotated[list[WholeCall], Meta(max_length=_MOST)] = field(default_factory=list)
    call_note: str = ""
    peak_memory_bytes: Whole | None = None
    memory_note: str = ""
    lr: float | None = None
    moved: Whole | None = None
    growth: float | None = None
    drift: float | None = None
    heldout_drift: float | None = None

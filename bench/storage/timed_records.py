"""Records of cells that are timed."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from bench.storage.record import Level, Record, Whole

_MOST_SAMPLES = 100_000


class Sample(Struct, kw_only=True, gc=False):
    """One round of a cell on one clock; seconds of all its batches."""

    round: Whole | None = None
    clock: str = "wall"
    seconds: float | None = None
    prepare_s: float | None = None
    steps_s: float | None = None


class Warmup(Struct, kw_only=True, gc=False):
    """Rounds that were thrown away, and why no more."""

    rounds: Whole = 0
    why: str = ""


class Stop(Struct, kw_only=True):
    """Why no more samples were taken; ``interval_level`` is that of order statistics."""

    reason: str | None = None
    looks: list[Whole] = field(default_factory=list)
    effective_samples: float | None = None
    interval_level: float | None = None
    half_width: float | None = None


class WholeCall(Struct, kw_only=True, gc=False):
    """One call of ``teleport`` on a batch, its checks included, and one SGD step beside it.

    Seconds on the wall clock.
    """

    seconds: float
    sgd_s: float


class CellRecord(Record, kw_only=True, tag="cell"):
    """A variant at a point, timed."""

    cell_id: str
    block_id: str  # of the point
    status: str
    method: str
    variant: str
    model: str
    dataset: str
    device: str
    dtype: str
    session: str | None = None  # one attempt in one process; rounds pair up only within it
    steps_done: Whole = 0
    guarantee: str | None = None
    teleport_status: str | None = None
    null_dims: dict[str, list[Whole] | None] | None = None
    peak_memory_bytes: Whole | None = None
    reserved_memory_bytes: Whole | None = None
    memory_note: str = ""
    operations: Whole | None = None
    bytes: Whole | None = None
    operations_note: str = ""
    flags: list[str] = field(default_factory=list)
    health: dict[str, Any] = field(default_factory=dict)  # lowest and highest of each reading
    looks: Level | None = None  # of a gate: how often it looked at the data
    warmup: Warmup | None = None
    stop: Stop | None = None
    train_samples: Whole | None = None  # of one epoch
    network: str = ""  # class of the model
    parameters: Whole | None = None  # numbers in it
    model_note: str = ""  # what was done to it for the measurement
    samples: Annotated[list[Sample], Meta(max_length=_MOST_SAMPLES)] = field(default_factory=list)
    calls: Annotated[list[WholeCall], Meta(max_length=_MOST_SAMPLES)] = field(default_factory=list)
    call_note: str = ""  # why there are none


class ReferenceRecord(CellRecord, kw_only=True, tag="reference"):
    """A block's ``sgd`` timed once more, beside cells that were missing: see ``session``."""

"""What a journal holds: one struct for each kind of record, the same where it is written and read.

A journal may come from anybody. What is wrong in a record is found here, once, so that nothing
behind has to ask again what kind of value it holds. Fields that are unknown are left alone.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert, to_builtins

from bench.errors import JournalError

SCHEMA = 1

_LARGEST = 2**53  # whole numbers up to here are exact as floats
_MOST_SAMPLES = 100_000

Whole = Annotated[int, Meta(ge=0, le=_LARGEST)]
Level = Annotated[int, Meta(ge=1, le=2**31 - 1)]
# A link on a page leads nowhere else.
Inside = Annotated[str, Meta(pattern=r"^profiles/(?!(.*/)?\.\.(/|$))[A-Za-z0-9_./-]+$")]


class Record(Struct, kw_only=True, tag_field="kind"):
    """What every record has.

    Attributes:
        schema: version of the journal's format.
        cell_id: names what was measured; None for a record that no other can take the place of.
        status: "ok", or how it failed.
        reason: why, in words.
        unit: the unit of work that it is part of, and
        of: of how many records; a block's cells have none.
        model, dataset, device, dtype, t, d, n, l, b: the point.
    """

    schema: int = SCHEMA
    cell_id: str | None = None
    status: str = "ok"
    reason: str = ""
    unit: str | None = None
    of: Level | None = None
    model: str = ""
    dataset: str = ""
    device: str = ""
    dtype: str = ""
    t: Level | None = None
    d: Level | None = None
    n: Level | None = None
    l: Level | None = None  # noqa: E741  (the letter of the papers)
    b: Level | None = None


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
    looks: list[Whole] = []
    effective_samples: float | None = None
    interval_level: float | None = None
    half_width: float | None = None


class CellRecord(Record, kw_only=True, tag="cell"):
    """A variant at a point, timed.

    Attributes:
        block_id: of the point.
        session: one attempt at a block in one process; rounds pair up only within it.
        health: lowest and highest of what the machine said of itself.
        train_samples: what one epoch of a training on this data set goes through.
    """

    cell_id: str
    block_id: str
    status: str
    method: str
    variant: str
    model: str
    dataset: str
    device: str
    dtype: str
    session: str | None = None
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
    flags: list[str] = []
    health: dict[str, Any] = {}
    warmup: Warmup | None = None
    stop: Stop | None = None
    train_samples: Whole | None = None
    samples: Annotated[list[Sample], Meta(max_length=_MOST_SAMPLES)] = []


class ReferenceRecord(CellRecord, kw_only=True, tag="reference"):
    """A block's ``sgd`` timed once more, beside cells that were missing: see ``session``."""


class CurvePoint(Struct, kw_only=True, gc=False):
    """The model after a step; ``drift`` is the relative change of a loss since step 0."""

    step: Whole
    loss: float | None = None
    loss_float64: float | None = None
    heldout_loss: float | None = None
    grad_norm_sq: float | None = None
    preactivation_bound: float | None = None
    preactivation_change: float | None = None
    drift_float32: float | None = None
    drift_float64: float | None = None
    heldout_drift: float | None = None


class PreservationRecord(Record, kw_only=True, tag="preservation"):
    """Loss and gradient norm along the steps of one variant, at one threshold from one start."""

    method: str
    variant: str
    model: str
    dataset: str
    rows: list[CurvePoint]
    start: str = ""
    tau: float | None = None
    lr: float | None = None
    guarantee: str | None = None
    teleport_status: str | None = None
    null_dims: dict[str, list[Whole] | None] | None = None


class FreeDimensions(Struct, kw_only=True, gc=False):
    """What a rank rule leaves free at a threshold."""

    rule: str
    tau: float
    dimensions: Whole


class SpectrumRecord(Record, kw_only=True, tag="spectrum"):
    """Eigenvalues of one layer's input: its singular values, squared, in descending order."""

    model: str
    dataset: str
    layer: str = ""
    position: Whole | None = None
    rows: Whole | None = None
    columns: Whole | None = None
    data_fed: bool | None = None
    free: list[FreeDimensions] = []
    eigenvalues: list[float | None] = []


class PhaseTime(Struct, kw_only=True, gc=False):
    """A phase of a call by the stopwatch."""

    phase: str
    calls: float
    self_s: float
    total_s: float


class Usage(Struct, kw_only=True, gc=False):
    """A phase in a trace, or an operator in it, for one call."""

    phase: str
    calls: float
    self_cpu_s: float
    total_cpu_s: float
    self_device_s: float
    total_device_s: float
    operator: str | UnsetType = UNSET


class Traced(Struct, kw_only=True):
    """What a trace comes to: see ``bench.profiling.summary.Summary``."""

    calls: float
    call_s: float
    phases: list[Usage]
    operators: list[Usage]
    launched: float
    launched_in_steps: float
    memory_peaks: dict[str, Whole]
    device_s: float | None = None
    device_busy: float | None = None


class ProfileRecord(Record, kw_only=True, tag="profile"):
    """Where the time of a cell goes; paths are relative to the run directory."""

    cell_id: str
    status: str
    method: str
    variant: str
    model: str
    dataset: str
    device: str
    dtype: str
    seconds: float | None = None
    unwatched_s: float | None = None
    phases: list[PhaseTime] = []
    traced: Traced | None = None
    operations: Whole | None = None
    bytes: Whole | None = None
    operations_note: str = ""
    raw_trace: Inside | None = None
    tensorboard: Inside | None = None
    note: str = ""


KINDS: dict[str, type[Record]] = {
    "cell": CellRecord,
    "reference": ReferenceRecord,
    "preservation": PreservationRecord,
    "spectrum": SpectrumRecord,
    "profile": ProfileRecord,
}


def typed(record: dict[str, Any], number: int) -> Record | None:
    """The struct of a record of a journal; None for a kind that nobody here knows.

    Args:
        record: what the line says, its schema known.
        number: its place in the journal, from 1, for the message.

    Raises:
        JournalError: a field that it must have is absent, or a value is none that it may have.
    """
    kind = record["kind"]
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return None
    # Null says that nobody knows: the same as nothing.
    given = {name: value for name, value in record.items() if value is not None}
    try:
        return convert(given, known)
    except ValidationError as error:
        raise JournalError(
            f"expected record {number} of the journal to be a {kind} record; {error}: restore the "
            "file, or delete that line"
        ) from None


def plain(record: Record) -> dict[str, Any]:
    """A record as the journal's line has it."""
    found: dict[str, Any] = to_builtins(record)
    return found

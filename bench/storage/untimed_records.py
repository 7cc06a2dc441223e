"""Records of what is measured beside the clock: preservation, spectra, profiles."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from bench.storage.record import Record, Whole

# A link on a page leads nowhere else.
Inside = Annotated[str, Meta(pattern=r"^profiles/(?!(.*/)?\.\.(/|$))[A-Za-z0-9_./-]+$")]


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
    free: list[FreeDimensions] = field(default_factory=list)
    eigenvalues: list[float | None] = field(default_factory=list)


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


class StackTime(Struct, kw_only=True, gc=False):
    """Phases and operators from the outermost in, and the seconds of the innermost's own."""

    stack: list[str]
    seconds: float


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
    memory: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    stacks: list[StackTime] = field(default_factory=list)


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
    phases: list[PhaseTime] = field(default_factory=list)
    traced: Traced | None = None
    operations: Whole | None = None
    bytes: Whole | None = None
    operations_note: str = ""
    raw_trace: Inside | None = None
    tensorboard: Inside | None = None
    stacks: Inside | None = None
    note: str = ""

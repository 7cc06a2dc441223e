"""The tables of the profiled cells: a row per cell, per phase and per operator."""

from msgspec import UNSET

from bench.storage.records import PhaseTime, ProfileRecord, Usage
from reports.run.run import as_float
from reports.tables.columns import AtPoint, CellPart, row_of
from reports.tables.roofline import Roof, share


class ProfileRow(AtPoint, frozen=True):
    """A cell in ``profile.csv``; ``seconds`` is a call (one batch) while its phases are timed."""

    status: str
    reason: str
    seconds: float | None
    unwatched_s: float | None
    traced_calls: float | None
    traced_s: float | None
    device_s: float | None
    device_busy: float | None
    launched: float | None
    launched_in_steps: float | None
    cpu_memory_peak_bytes: float | None
    device_memory_peak_bytes: float | None
    operations: int | None
    bytes: int | None
    operations_share: float
    bytes_share: float
    raw_trace: str
    tensorboard: str
    note: str


class PhaseRow(CellPart, frozen=True):
    """A phase of a cell in ``profile_phases.csv``; times of one call.

    ``self_s`` leaves out the phases within, ``total_s`` does not; both are wall times outside the
    profiler. What begins with ``traced`` or ``device`` is from the trace.
    """

    phase: str
    calls: float
    self_s: float
    total_s: float
    share: float
    traced_self_s: float | None
    traced_total_s: float | None
    device_s: float | None
    device_total_s: float | None


class OperatorRow(CellPart, frozen=True):
    """An operator in a phase of a cell in ``profile_operators.csv``; of one call in the trace."""

    phase: str
    operator: str
    calls: float
    self_cpu_s: float
    total_cpu_s: float
    self_device_s: float
    total_device_s: float


def profile_row(record: ProfileRecord, roof: Roof) -> ProfileRow:
    """The row of a cell."""
    traced = record.traced
    peaks = traced.memory_peaks if traced else {}
    unwatched = as_float(record.unwatched_s)
    return row_of(
        ProfileRow,
        record,
        traced_calls=traced.calls if traced else None,
        traced_s=traced.call_s if traced else None,
        device_s=traced.device_s if traced else None,
        device_busy=traced.device_busy if traced else None,
        launched=traced.launched if traced else None,
        launched_in_steps=traced.launched_in_steps if traced else None,
        cpu_memory_peak_bytes=peaks.get("cpu"),
        device_memory_peak_bytes=device_peak(peaks),
        operations_share=share(roof, record, "operations_share", unwatched),
        bytes_share=share(roof, record, "bytes_share", unwatched),
        raw_trace=record.raw_trace or "",
        tensorboard=record.tensorboard or "",
    )


def device_peak(peaks: dict[str, int]) -> int | None:
    """The largest peak of memory on a device that is not the CPU, in bytes."""
    return max((size for device, size in peaks.items() if device != "cpu"), default=None)


def is_whole(record: ProfileRecord) -> bool:
    """Whether a profile has everything that is shown of it."""
    parts = (record.traced, record.phases, record.raw_trace)
    return record.status == "ok" and all(parts) and as_float(record.seconds) > 0


def phase_rows(record: ProfileRecord) -> list[PhaseRow]:
    """The phases of one cell, the longest first; none of a profile that is not whole."""
    if record.traced is None or not is_whole(record):
        return []
    seen = {usage.phase: usage for usage in record.traced.phases}
    rows = [_phase_row(record, timed, seen.get(timed.phase)) for timed in record.phases]
    return sorted(rows, key=lambda row: -row.self_s)


def _phase_row(record: ProfileRecord, timed: PhaseTime, usage: Usage | None) -> PhaseRow:
    return row_of(
        PhaseRow,
        timed,
        record,
        share=timed.self_s / as_float(record.seconds),
        traced_self_s=usage.self_cpu_s if usage else None,
        traced_total_s=usage.total_cpu_s if usage else None,
        device_s=usage.self_device_s if usage else None,
        device_total_s=usage.total_device_s if usage else None,
    )


def operator_rows(record: ProfileRecord) -> list[OperatorRow]:
    """The operators of one cell, the one with most time of its own on CPU and device first."""

    def own(usage: Usage) -> float:
        return -(usage.self_cpu_s + usage.self_device_s)

    return [
        row_of(
            OperatorRow, usage, record, operator="" if usage.operator is UNSET else usage.operator
        )
        for usage in sorted(record.traced.operators if record.traced else [], key=own)
    ]

"""The tables of the profiled cells: a row per cell, per phase and per operator."""

from collections.abc import Sequence

import pandas as pd

from reports.run.run import AXES, Record, number
from reports.runtime.roofline import SHARES, Roof, share
from reports.tables.runtime import frame

_CELL = ("cell_id", "method", "variant")
PROFILE_COLUMNS = (
    *(*_CELL, "model", "dataset", "device", "dtype", *AXES, "status", "reason"),
    *("seconds", "unwatched_s", "traced_calls", "traced_s", "device_s", "device_busy"),
    *("launched", "launched_in_steps", "cpu_memory_peak_bytes", "device_memory_peak_bytes"),
    *("operations", "bytes", *SHARES, "raw_trace", "tensorboard", "note"),
)
PHASE_COLUMNS = (
    *(*_CELL, "phase", "calls", "self_s", "total_s", "share"),
    *("traced_self_s", "traced_total_s", "device_s", "device_total_s"),
)
OPERATOR_COLUMNS = (
    *(*_CELL, "phase", "operator", "calls"),
    *("self_cpu_s", "total_cpu_s", "self_device_s", "total_device_s"),
)


def profiles(records: Sequence[Record], roof: Roof) -> pd.DataFrame:
    """A row per cell. ``seconds`` is a call (one batch) while its phases are timed."""
    return frame([_profile_row(record, roof) for record in records], PROFILE_COLUMNS)


def _profile_row(record: Record, roof: Roof) -> Record:
    traced = record.get("traced") or {}
    peaks = traced.get("memory_peaks") or {}
    on_device = [size for device, size in peaks.items() if device != "cpu"]
    unwatched = number(record.get("unwatched_s"))
    return {
        **record,
        **{name: traced.get(name) for name in ("device_s", "device_busy", "launched")},
        "launched_in_steps": traced.get("launched_in_steps"),
        "traced_calls": traced.get("calls"),
        "traced_s": traced.get("call_s"),
        "cpu_memory_peak_bytes": peaks.get("cpu"),
        "device_memory_peak_bytes": max(on_device, default=None),
        **{column: share(roof, record, column, unwatched) for column in SHARES},
    }


def phases(records: Sequence[Record]) -> pd.DataFrame:
    """A row per cell and phase, the longest first; times of one call.

    ``self_s`` leaves out the phases within, ``total_s`` does not; both are wall times outside the
    profiler. What begins with ``traced`` or ``device`` is from the trace.
    """
    return frame([row for record in records for row in phase_rows(record)], PHASE_COLUMNS)


def is_whole(record: Record) -> bool:
    """Whether a profile has everything that is shown of it."""
    parts = ("traced", "phases", "raw_trace")
    seconds = number(record.get("seconds"))
    return record["status"] == "ok" and all(record.get(p) for p in parts) and seconds > 0


def phase_rows(record: Record) -> list[Record]:
    """The phases of one cell as rows of ``phases``."""
    traced = {row["phase"]: row for row in (record.get("traced") or {}).get("phases", [])}
    rows = []
    for timed in record["phases"] if is_whole(record) else []:
        seen = traced.get(timed["phase"], {})
        rows.append(
            {
                **{name: record[name] for name in _CELL},
                **timed,
                "share": timed["self_s"] / record["seconds"],
                "traced_self_s": seen.get("self_cpu_s"),
                "traced_total_s": seen.get("total_cpu_s"),
                "device_s": seen.get("self_device_s"),
                "device_total_s": seen.get("total_device_s"),
            }
        )
    return sorted(rows, key=lambda row: -row["self_s"])


def operators(records: Sequence[Record]) -> pd.DataFrame:
    """A row per cell, phase and operator, from the trace; seconds and calls per call."""
    rows = [
        {**{name: record[name] for name in _CELL}, **row}
        for record in records
        for row in operator_rows(record)
    ]
    return frame(rows, OPERATOR_COLUMNS)


def operator_rows(record: Record) -> list[Record]:
    """The operators of one cell, the one with most time of its own on CPU and device first."""
    rows: list[Record] = (record.get("traced") or {}).get("operators", [])
    return sorted(rows, key=lambda row: -(row["self_cpu_s"] + row["self_device_s"]))

"""A copy of a trace for the TensorBoard plugin, which reads older traces than torch writes.

torch-tb-profiler 0.4.3 (2023), its last release, is mended from outside:

- it knows CUDA launches as ``runtime`` and not as ``cuda_runtime`` and ``cuda_driver``, and without
  them gives no device time to any operator;
- of ``user_annotation`` it keeps ``ProfilerStep#`` alone; our phases become operators;
- ``ProfilerStep#`` on a device's row would be taken for a step more, and is left out;
- it links forward and backward by ``forward_backward``, which torch calls ``fwdbwd``;
- for its GPU curves it cuts the file at the last ``]``: the events come last.

The raw trace stays as it is, for Perfetto.
"""

import gzip
import json
import os
from pathlib import Path
from typing import NamedTuple

from bench.profiling.trace import ANNOTATION, LAUNCHES, STEP, Event, load

CAP_BYTES = 50_000_000
"""Of a converted trace before compression; the page shows nothing for much larger ones."""

_ON_DEVICE = "gpu_user_annotation"
_DROPPED = ("traceEvents", "traceName", "host_name")


class Converted(NamedTuple):
    """The copy, None where not even one step fits, and what a reader has to know about it."""

    path: Path | None
    note: str


def convert(raw: Path, folder: Path, worker: str, cap: int = CAP_BYTES) -> Converted:
    """Write ``folder/<worker>.pt.trace.json.gz``, a run of the plugin; replaces an earlier one.

    The plugin shows the folder's name. Trailing steps are left out until the copy of the trace
    ``raw`` has at most ``cap`` bytes before compression. A worker is called ``cpu_0`` or so.
    """
    document = load(raw)
    events = [_mended(event) for event in document["traceEvents"] if _is_wanted(event)]
    head = {key: value for key, value in document.items() if key not in _DROPPED}
    ends, limit = _step_ends(events), f"{cap / 1e6:g} MB"
    for kept in range(len(ends), 0, -1):
        some = events if kept == len(ends) else _until(events, ends[kept - 1])
        text = json.dumps({**head, "traceEvents": some}, separators=(",", ":"))
        if len(text) <= cap:
            cut = f"TensorBoard gets {kept} of {len(ends)} steps, because more would pass {limit}"
            note = "" if kept == len(ends) else cut
            return Converted(_write(folder / f"{worker}.pt.trace.json.gz", text), note)
    note = f"no step of the trace fits into {limit}, so there is no copy for TensorBoard"
    return Converted(None, note)


def _is_wanted(event: Event) -> bool:
    return not (event.get("cat") == _ON_DEVICE and str(event.get("name")).startswith(STEP))


def _mended(event: Event) -> Event:
    category = event.get("cat")
    if category in LAUNCHES:
        return {**event, "cat": "runtime"}
    if category == ANNOTATION and not event["name"].startswith(STEP):
        return {**event, "cat": "cpu_op"}
    if category == "fwdbwd":
        return {**event, "cat": "forward_backward"}
    return event


def _step_ends(events: list[Event]) -> list[float]:
    """When each step of the trace ends, in microseconds."""
    steps = [e for e in events if e.get("cat") == ANNOTATION]
    return sorted(float(step["ts"]) + float(step["dur"]) for step in steps)


def _until(events: list[Event], end: float) -> list[Event]:
    """What begins before a moment; names of threads and the like have none that counts."""
    return [e for e in events if e.get("ph") == "M" or float(e.get("ts", end)) < end]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{os.getpid()}.tmp")
    try:
        # Without a time stamp the same trace gives the same bytes.
        draft.write_bytes(gzip.compress(text.encode(), 6, mtime=0))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path

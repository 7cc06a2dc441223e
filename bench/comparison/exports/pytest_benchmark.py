"""Times as pytest-benchmark writes them, both ways.

``pytest-benchmark compare`` reads what ``dumps`` writes; ``loads`` reads what
``pytest --benchmark-json`` writes, raw samples included.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from statistics import fmean, median, quantiles, stdev
from typing import Any

import msgspec
from msgspec import Struct

from bench.comparison.judgement import WALL, Measured, Sides
from bench.comparison.verdicts import Side
from bench.errors import SpecError

# The key of our own environment and measuring code in ``machine_info``.
OURS = "teleport_bench"

# What does not change by itself: neither the present frequency nor the host's name.
_MACHINE = ("processor", "machine", "python_implementation", "python_version", "system")
# Of these the kernel, its load or cpuinfo itself decide, not the processor.
_PASSING = ("hz_", "flags", "cpuinfo_version", "python_version")
# Any of these tells one processor from another; before 2020 cpuinfo wrote them without "_raw".
_NAMES = ("brand", "hardware", "model")
_VERSION = "5.1.0"  # whose layout this is


class _Ours(Struct):
    environment: str
    benchmark: str


class _Machine(Struct, rename={"ours": OURS}):
    cpu: dict[str, Any] | None = None
    ours: _Ours | None = None


class _Statistics(Struct):
    data: list[float] | None = None


class _Benchmark(Struct):
    name: str
    fullname: str
    stats: _Statistics


class _Document(Struct):
    benchmarks: list[_Benchmark]
    machine_info: _Machine


def loads(text: str, name: str) -> Measured:
    """The tests of a pytest-benchmark file as cells, by their full names.

    An error calls the document ``name``. Where nothing in it names the processor, its cells are
    comparable with those of the very same document alone.

    Raises:
        SpecError: no such document, or one without raw samples.
    """
    try:
        raw = json.loads(text)
        document = msgspec.convert(raw, _Document)
    except (ValueError, OverflowError, RecursionError) as error:
        raise SpecError(
            f"expected the JSON of pytest-benchmark in {name}; it is not ({error}): write it with "
            "'pytest --benchmark-json=FILE'"
        ) from None
    ours = document.machine_info.ours
    if ours is None:
        environment = _processor(raw["machine_info"], document.machine_info.cpu or {}, text)
        ours = _Ours(environment, "")
    return {WALL: {b.fullname: _side(b, ours, name) for b in document.benchmarks}}


def _processor(machine: Mapping[str, Any], cpu: Mapping[str, Any], text: str) -> str:
    """The key of the machine in a file that our suite has not written."""
    lasting = {
        name.removesuffix("_raw"): cpu[name]
        for name in sorted(cpu)
        if not name.startswith(_PASSING)
    }
    if not any(lasting.get(name) not in (None, "") for name in _NAMES):
        return f"processor not named, file {_digest(text)}"
    return _digest(json.dumps([[machine.get(name) for name in _MACHINE], lasting]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _side(benchmark: _Benchmark, ours: _Ours, name: str) -> Side:
    samples = benchmark.stats.data
    if not samples:
        raise SpecError(
            f"expected the raw samples of {benchmark.fullname} in {name}; there are none: write "
            "it with --benchmark-json, or with --benchmark-save-data beside --benchmark-save"
        )
    return Side(
        label=benchmark.name,
        seconds=samples,
        environment=ours.environment,
        benchmark=ours.benchmark,
    )


def dumps(sides: Sides, commit: str, when: float) -> str:
    """The cells of one clock as a file of pytest-benchmark; those without a time are left out."""
    usable = [side for side in sides.values() if side.status == "ok" and len(side.seconds)]
    keys = {(side.environment, side.benchmark) for side in usable}
    environment, benchmark = min(keys, default=("", ""))
    ours = {"environment": environment, "benchmark": benchmark}
    document = {
        "machine_info": {"node": "", "machine": "", "cpu": {}, OURS: ours},
        "commit_info": {"id": commit, "dirty": None},
        "benchmarks": [_benchmark(side) for side in usable],
        "datetime": datetime.fromtimestamp(when, UTC).isoformat(),
        "version": _VERSION,
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _benchmark(side: Side) -> dict[str, Any]:
    return {
        "group": None,
        "name": side.label,
        "fullname": f"gate::{side.label}",
        "params": None,
        "param": None,
        "extra_info": {},
        "options": {},
        "stats": statistics_of([s for s in side.seconds if isfinite(s)]),
    }


def statistics_of(samples: Sequence[float]) -> dict[str, Any]:
    """The numbers that pytest-benchmark shows of one test; at least one sample."""
    ordered = sorted(samples)
    q1, _, q3 = quantiles(ordered, method="inclusive") if len(ordered) > 1 else ordered * 3
    mean, iqr = fmean(ordered), q3 - q1
    deviation = stdev(ordered) if len(ordered) > 1 else 0.0
    low, high = q1 - 1.5 * iqr, q3 + 1.5 * iqr
    mild = sum(not low <= s <= high for s in ordered)
    far = sum(abs(s - mean) > deviation for s in ordered)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(ordered),
        "median": median(ordered),
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": mild,
        "stddev_outliers": far,
        "outliers": f"{far};{mild}",
        "ld15iqr": next(s for s in ordered if s >= low),
        "hd15iqr": next(s for s in reversed(ordered) if s <= high),
        "ops": 1 / mean if mean else 0.0,
        "total": sum(ordered),
        "data": list(samples),
        "iterations": 1,
    }

"""Times as pytest-benchmark writes them, both ways.

``pytest-benchmark compare`` reads what ``dumps`` writes; ``loads`` reads what
``pytest --benchmark-json`` writes, raw samples included.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from statistics import fmean, median, quantiles, stdev
from typing import Any

from msgspec import Struct, ValidationError, convert

from bench.comparison.judgement import WALL, Measured, Sides
from bench.comparison.verdicts import Side
from bench.errors import SpecError

# The key of our own environment and measuring code in ``machine_info``.
OURS = "teleport_bench"

# What does not change by itself: neither the present frequency nor the host's name.
_MACHINE = ("processor", "machine", "python_implementation", "python_version", "system")
_CHANGING = re.compile(r"hz_|flags|python_version|cpuinfo_version")
# By any of these one processor is told from another; older files lack "_raw".
_TELLING = ("brand", "hardware", "model")
_VERSION = "5.1.0"  # whose layout this is


def loads(text: str, name: str) -> Measured:
    """The tests of a pytest-benchmark file as cells, by their full names.

    An error calls the document ``name``.

    Raises:
        SpecError: no such document, or one without raw samples.
    """
    try:
        # Its own writer writes NaN, which is no JSON.
        document = convert(json.loads(text), _File)
    except (ValueError, RecursionError) as error:
        why = f" ({error})" if isinstance(error, ValidationError) else ""
        raise SpecError(
            f"expected the JSON of pytest-benchmark in {name}; it is not{why}: write it with "
            "'pytest --benchmark-json=FILE'"
        ) from None
    environment, benchmark = _keys(document.machine_info, text)
    sides = {b.fullname: _side(b, environment, benchmark, name) for b in document.benchmarks}
    return {WALL: sides}


class _Stats(Struct):
    data: list[float] | None = None


class _Benchmark(Struct):
    name: str
    fullname: str
    stats: _Stats


class _Ours(Struct):
    environment: str
    benchmark: str


class _Machine(Struct, rename={"ours": OURS}):
    processor: Any = None
    machine: Any = None
    python_implementation: Any = None
    python_version: Any = None
    system: Any = None
    cpu: dict[str, Any] | None = None
    ours: _Ours | None = None


class _File(Struct):
    benchmarks: list[_Benchmark]
    machine_info: _Machine


def _keys(machine: _Machine, text: str) -> tuple[str, str]:
    """Keys of machine and measuring code; our own where our suite wrote them."""
    if machine.ours is not None:
        return machine.ours.environment, machine.ours.benchmark
    cpu = {
        name.removesuffix("_raw"): value
        for name, value in (machine.cpu or {}).items()
        if not _CHANGING.match(name)
    }
    facts: list[Any] = [getattr(machine, name) for name in _MACHINE] + [
        sorted(cpu.items(), key=str)
    ]
    if not any(cpu.get(name) not in (None, "") for name in _TELLING):
        facts.append(text)  # it may be any machine's: like no other file's
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16], ""


def _side(benchmark: _Benchmark, environment: str, key: str, name: str) -> Side:
    samples = benchmark.stats.data
    if not samples:
        raise SpecError(
            f"expected the raw samples of {benchmark.fullname} in {name}; there are none: write "
            "it with --benchmark-json, or with --benchmark-save-data beside --benchmark-save"
        )
    return Side(label=benchmark.name, seconds=samples, environment=environment, benchmark=key)


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

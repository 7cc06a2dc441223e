"""Record calls with torch.profiler, and time their phases without it; never inside a sample."""

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from bench.plan.profiles import Detail
from bench.profiling.mend import mend
from bench.profiling.observers import PhaseTime, Stopwatch, TraceMarks
from bench.profiling.timeline import OTHER, PREPARE, STEPS
from teleport_core.phases import observed

WAIT, WARMUP = 1, 1


class Call(NamedTuple):
    """One teleport of one batch in its two parts; ``steps`` gets what ``prepare`` answered."""

    prepare: Callable[[], Any]
    steps: Callable[[Any], Any]


class Watched(NamedTuple):
    """Seconds of a call while its phases are timed, and without; the phases of the former."""

    seconds: float
    unwatched_s: float
    phases: dict[str, PhaseTime]


def record(call: Call, path: Path, device: str, detail: Detail) -> None:
    """Write the trace of ``detail.active`` calls, ``*.gz``; two calls before it warm up.

    The file is written beside its place and renamed.
    """
    cuda = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    path.parent.mkdir(parents=True, exist_ok=True)

    def ready(profiler: Any) -> None:
        draft = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            profiler.export_chrome_trace(str(draft))
            mend(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    with (
        observed(TraceMarks(nvtx=cuda)),
        profile(
            activities=activities,
            schedule=schedule(wait=WAIT, warmup=WARMUP, active=detail.active, repeat=1),
            on_trace_ready=ready,
            record_shapes=detail.shapes,
            profile_memory=detail.memory,
            with_stack=detail.stacks,
        ) as profiler,
    ):
        for _ in range(WAIT + WARMUP + detail.active):
            with record_function(PREPARE):
                state = call.prepare()
            with record_function(STEPS):
                call.steps(state)
                if cuda:
                    torch.cuda.synchronize(device)
            profiler.step()


def watch(call: Call, now: Callable[[], float], repeats: int) -> Watched:
    """Time the phases of a call; of ``repeats`` (odd) calls the one of median length counts.

    Calls with and without the stopwatch take turns, so that what a mark costs shows.
    """
    timed: list[tuple[float, dict[str, PhaseTime]]] = []
    plain: list[float] = []
    call.steps(call.prepare())  # warms up
    for _ in range(repeats):
        start = now()
        call.steps(call.prepare())
        plain.append(now() - start)
        watch = Stopwatch(now)
        with observed(watch):
            start = now()
            call.steps(call.prepare())
            seconds = now() - start
        timed.append((seconds, watch.phases))
    timed.sort(key=lambda pair: pair[0])
    seconds, phases = timed[repeats // 2]
    rest = seconds - sum(phase.self_s for phase in phases.values())
    return Watched(seconds, median(plain), {**phases, OTHER: PhaseTime(0, rest, rest)})

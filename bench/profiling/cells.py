"""Profile one cell: the phases by the stopwatch, a trace, its copy for TensorBoard, its summary."""

import re
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

from bench.costs.closed_forms import call_counts, sample_counts
from bench.errors import RunError
from bench.plan.points import Point
from bench.plan.profiles import Detail
from bench.profiling import convert, record, stacks, summary, trace
from bench.profiling.record import Call
from bench.spec.variants import SGD, parse_variant
from bench.timing.rounds import options_at, sgd_call
from teleport_core import Problem, make
from teleport_core.wall_clock import wall_clock

FOLDER = "profiles"
"""Of a run directory; holds ``raw`` for Perfetto, ``tensorboard``, a log directory, ``stacks``."""

REPEATS = 5
_LONGEST_NAME = 100


class _NotEveryStepError(RunError):
    """A call ended before its last step."""


def profile_cell(
    cell: dict[str, Any], point: Point, problems: list[Problem], run: Path, detail: Detail
) -> dict[str, Any]:
    """Write the traces of a cell into a run directory and return its profile as JSON values.

    A call is one teleport of one batch; the batches take turns. The weights move, as they do
    between the batches of a sample.
    """
    variant = cell["variant"]
    call = _sgd(problems, point.t) if variant == str(SGD) else _teleport(variant, point, problems)
    try:
        watched = record.watch(call, wall_clock(point.device), REPEATS)
    except _NotEveryStepError as error:
        return {"status": "invalid", "reason": str(error)}
    name = trace_name(variant, point, cell["cell_id"])
    raw = run / FOLDER / "raw" / f"{name}.trace.json.gz"
    record.record(call, raw, point.device, detail)
    worker = point.device.replace(":", "_") if ":" in point.device else f"{point.device}_0"
    copy = convert.convert(raw, run / FOLDER / "tensorboard" / name, worker)
    found = summary.summarise(trace.parse(trace.load(raw)))
    folded = stacks.write(run / FOLDER / "stacks" / f"{name}.folded", found.stacks)
    counts = sample_counts(variant, problems[:1], point.t)
    if counts["operations"] is None:
        counts = call_counts(lambda: call.steps(call.prepare()), problems)
    return {
        "seconds": watched.seconds,
        "unwatched_s": watched.unwatched_s,
        "phases": [{"phase": phase, **asdict(time)} for phase, time in watched.phases.items()],
        "traced": found.to_record(),
        **counts,
        "raw_trace": raw.relative_to(run).as_posix(),
        "tensorboard": copy.path and copy.path.parent.relative_to(run).as_posix(),
        "stacks": folded.relative_to(run).as_posix(),
        "note": copy.note,
    }


def trace_name(variant: str, point: Point, cell_id: str) -> str:
    """What a trace is called on disk and in TensorBoard: variant, letters, start of the cell's id.

    Only letters, digits, ``_``, ``.`` and ``-``: the plugin cannot stand a ``]`` in a path.
    """
    letters = "-".join(f"{letter}{value}" for letter, value in point.letters().items())
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", variant)[:_LONGEST_NAME]
    return f"{words}-{letters}-{cell_id[:6]}"


def _teleport(variant: str, point: Point, problems: list[Problem]) -> Call:
    parsed = parse_variant(variant)
    teleporter = make(parsed.method, **options_at(parsed, point.t))
    turns = cycle(problems)

    def prepare() -> Any:
        problem = next(turns)
        return problem, teleporter.prepare(problem)

    def steps(prepared: Any) -> None:
        problem, state = prepared
        result = teleporter.advance(problem, state)
        if result.steps_done != point.t:
            raise _NotEveryStepError(
                f"{result.steps_done} of {point.t} steps were carried out ({result.status.name}), "
                "so its phases are not those of the full work"
            )

    return Call(prepare, steps)


def _sgd(problems: list[Problem], t: int) -> Call:
    turns = cycle(problems)
    return Call(lambda: next(turns), lambda problem: sgd_call([problem], t, []))

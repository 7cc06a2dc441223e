"""The process that measures: reads commands, streams events (see ``bench.protocol``).

Run as ``python -m bench.worker``; it can be started on any source tree that speaks the protocol.
"""

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

from bench.counts import sample_counts
from bench.errors import BenchError, SpecError
from bench.health import Health, gpu_reader, sample_flags
from bench.idle import ForeignLoad
from bench.lifeline import die_with_runner
from bench.measure import (
    Entrant,
    Rounds,
    Sample,
    quiet_collector,
    restore,
    settled,
    sgd_call,
    teleport_call,
)
from bench.plain_text import plain
from bench.plan import Point
from bench.protocol import Message, parse, send
from bench.seeds import seed_for
from bench.settings import Sampling
from bench.turns import OpenBlocks, Workshop
from bench.variants import SGD, parse_variant

if TYPE_CHECKING:
    from teleport_core import Problem

Emit = Callable[[Message], None]


class PoisonedError(Exception):
    """The process cannot compute on its device any more: another has to go on."""


def main() -> None:
    """Serve commands until told to stop or until standard input ends."""
    die_with_runner()
    # The measured code may print: its output goes to standard error, ours to the real one.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, events)


def serve(commands: TextIO, events: TextIO) -> None:
    """The loop of the worker."""

    def emit(message: Message) -> None:
        send(events, message)
        # Wait until it is in the journal: a run that is killed measures at most one finished cell
        # again. The pipe of a runner that ends closes before the kernel kills this process.
        if message["event"] == "cell" and not commands.readline():
            sys.exit("the runner has ended")

    facts = {"pid": os.getpid(), "commands": sorted(_COMMANDS), "waits": True}
    emit({"event": "ready", **facts})
    for line in commands:
        command = parse(line)
        if command["do"] == "stop":
            return
        try:
            _COMMANDS[command["do"]](command, emit)
        except PoisonedError as error:
            emit({"event": "retire", "reason": str(error)})
            return
        except Exception as error:
            traceback.print_exc()
            emit({"event": "failed", "reason": reason_of(error), "status": status_of(error)})
            if _is_poisoned():
                emit({"event": "retire", "reason": reason_of(error)})
                return
        emit({"event": "done"})


def status_of(error: Exception) -> str:
    """The status of a cell that raised.

    Skipped: the method cannot move this model. Invalid: the numbers are no good, such as a loss
    that is NaN. Oom: out of memory. Crashed: anything else.
    """
    import torch

    from teleport_core.errors import ModelError, ProblemError

    if isinstance(error, ModelError):
        return "skipped"
    if isinstance(error, (ProblemError, torch.linalg.LinAlgError)):  # type: ignore[attr-defined]
        return "invalid"
    oom = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    # The CPU allocator raises a plain RuntimeError.
    return "oom" if oom or "DefaultCPUAllocator" in str(error) else "crashed"


def _is_poisoned() -> bool:
    """Whether an error has left the CUDA context unusable, as an illegal access does."""
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:  # torch.AcceleratorError is one; so is what older versions raise
        return True
    return False


def reason_of(error: Exception) -> str:
    """What is shown to the user: our own errors speak for themselves."""
    from teleport_core import TeleportError

    text = plain(str(error))
    ours = isinstance(error, (BenchError, TeleportError))
    return text if ours else f"{type(error).__name__}: {text}"


def _built(command: Message) -> Any:
    import torch

    from bench.problems.build import build

    if command["threads"]:
        torch.set_num_threads(command["threads"])
    point = Point(**command["point"])
    return point, build(
        point,
        seed=command["seed"],
        bias=command["bias"],
        data_dir=command["data_dir"],
        swept=command.get("swept", ()),
    )


def run_block(command: Message, emit: Emit) -> None:
    """Measure the cells of one point, interleaved."""
    from bench.clock import clocks_for, flush_l2
    from teleport_core import Problem

    point, built = _built(command)
    problems = [Problem(built.model, built.loss_fn, *batch) for batch in built.batches]
    check_batches(problems)
    start = {name: value.detach().clone() for name, value in built.model.state_dict().items()}
    clocks = clocks_for(point.device)
    entrants = []
    for cell in command["cells"]:
        try:
            entrants.append(_entrant(cell, point, problems, clocks))
        except Exception as error:
            _fail(cell["cell_id"], error, emit)
    order = seed_for(command["seed"], "rounds", command["block_id"])
    sampling = Sampling(**command["sampling"])
    others = ForeignLoad()
    health = Health(gpu_reader(point.device))
    rounds = Rounds(entrants, sampling, order, monotonic)
    with settled():
        for number, entrant in rounds:
            emit({"event": "note", "cell_id": entrant.cell_id})
            health.read()
            restore(built.model, start)
            if sampling.cache == "cold":
                flush_l2(point.device)
            if not _one_sample(entrant, number, emit):
                entrants.remove(entrant)
    health.read(at_once=True)
    flags = [*others.flags(), *health.flags()]
    restore(built.model, start)
    variants = {cell["cell_id"]: cell["variant"] for cell in command["cells"]}
    finished = []
    for entrant in entrants:
        facts: dict[str, Any] = dict(sample_counts(variants[entrant.cell_id], problems, point.t))
        facts |= {
            "flags": [*flags, *sample_flags(entrant.seconds)],
            "health": health.facts(),
            "warmup": rounds.warmup._asdict(),
            "stop": rounds.stopping.facts(entrant.seconds),
        }
        finished.append(_finished(entrant, "ok", "", **facts))
        emit({**finished[-1], "event": "timed"})
    for entrant, message in zip(entrants, finished, strict=True):
        message.update(_memory_pass(entrant, point.device, emit))
        restore(built.model, start)
    for message in finished:
        emit(message)


def check_batches(problems: list["Problem"]) -> None:
    """Refuse bad input once, before anything is timed."""
    from teleport_core.checks import check_problem

    for problem in problems:
        check_problem(problem)


def _entrant(cell: Message, point: Point, problems: list["Problem"], clocks: Any) -> Entrant:
    from bench.measure import TIMING_LR
    from teleport_core import make

    expected = point.t * point.b
    if cell["variant"] == str(SGD):
        return Entrant(cell["cell_id"], expected, partial(sgd_call, problems, point.t, clocks))
    variant = parse_variant(cell["variant"])
    options = {**variant.options, "steps": point.t, "lr": TIMING_LR, "cap": float("inf")}
    teleporter = make(variant.method, **options)
    call = partial(teleport_call, teleporter, problems, clocks)
    return Entrant(cell["cell_id"], expected, call)


def _one_sample(entrant: Entrant, number: int, emit: Emit) -> bool:
    """Take one sample; False when the cell is over."""
    try:
        with quiet_collector():
            samples, entrant.steps_done, entrant.facts = entrant.call()
    except Exception as error:
        _fail(entrant.cell_id, error, emit)
        return False
    if entrant.steps_done != entrant.expected_steps:
        status = entrant.facts.get("teleport_status", "")
        reason = (
            f"{entrant.steps_done} of {entrant.expected_steps} steps were carried out ({status}), "
            "so its time is not that of the full work"
        )
        emit(_finished(entrant, "invalid", reason))
        return False
    entrant.take(number, samples)
    if number >= 0:
        stamped: list[Sample] = [{"round": number, **sample} for sample in samples]
        emit({"event": "sample", "cell_id": entrant.cell_id, "samples": stamped})
    return True


def _finished(entrant: Entrant, status: str, reason: str, **more: Any) -> Message:
    facts = {key: entrant.facts.get(key) for key in ("guarantee", "null_dims", "teleport_status")}
    return {
        "event": "cell",
        "cell_id": entrant.cell_id,
        "status": status,
        "reason": reason,
        "steps_done": entrant.steps_done,
        **facts,
        **more,
    }


def _fail(cell_id: str, error: Exception, emit: Emit) -> None:
    traceback.print_exc()
    status = status_of(error)
    emit({"event": "cell", "cell_id": cell_id, "status": status, "reason": reason_of(error)})
    if _is_poisoned():
        raise PoisonedError(f"the CUDA context is unusable after: {reason_of(error)}")
    if status == "oom":
        _empty_cache()


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _memory_pass(entrant: Entrant, device: str, emit: Emit) -> Message:
    """Peak memory of one more call; a failure here costs the peak alone, not the times."""
    from bench.memory import Memory, peak_of

    emit({"event": "note", "cell_id": entrant.cell_id})
    try:
        return peak_of(entrant.call, device).facts()
    except Exception as error:
        traceback.print_exc()
        if _is_poisoned():
            raise
        _empty_cache()
        note = f"peak memory is not known: {status_of(error)}: {reason_of(error)}"
        return Memory(None, note=note).facts()


def run_preservation(command: Message, emit: Emit) -> None:
    """Follow one variant step by step at every threshold of the command."""
    from bench.preservation import find_lr, subject, takes_tau, trajectory

    point, built = _built(command)
    variant = parse_variant(command["variant"])
    where = subject(built, command["start"])
    lr = variant.options.get("lr")
    if lr is None:
        taus = [item["tau"] for item in command["items"]]
        lr = find_lr(where, variant, point.t, command["growth"], taus)
    # A method that knows no tau is followed once, and one that chooses its tau has no one tau.
    only = {**command["items"][0], "tau": None if "max_drift" in variant.options else 1.0}
    items = command["items"] if takes_tau(variant) else [only]
    for item in items:
        emit({"event": "note", "cell_id": item["cell_id"]})
        record = {
            **asdict(point),
            "cell_id": item["cell_id"],
            "tau": item["tau"],
            "lr": lr,
            "of": len(items),
            "status": "ok",
            "reason": "",
            **trajectory(where, variant, point.t, float(lr), item["tau"] or 1.0),
        }
        emit({"event": "record", "record": record})


def run_spectrum(command: Message, emit: Emit) -> None:
    """Singular values of every layer's input at one point."""
    from bench.preservation import spectra, subject

    point, built = _built(command)
    layers = list(spectra(subject(built, "init"), command["taus"]))
    for spectrum in layers:
        cell_id = f"{command['unit']}-{spectrum['position']}"
        record = {**asdict(point), "cell_id": cell_id, "of": len(layers), **spectrum}
        emit({"event": "record", "record": record})


def run_profile(command: Message, emit: Emit) -> None:
    """Profile the cells of one point: traces into the run directory, a record each."""
    from bench.profiling.cells import profile_cell
    from bench.profiling.record import Detail
    from teleport_core import Problem

    point, built = _built(command)
    problems = [Problem(built.model, built.loss_fn, *batch) for batch in built.batches]
    check_batches(problems)
    start = {name: value.detach().clone() for name, value in built.model.state_dict().items()}
    detail = Detail(**command["detail"])
    for cell in command["cells"]:
        emit({"event": "note", "cell_id": cell["cell_id"]})
        record = {**cell, "of": len(command["cells"]), "status": "ok", "reason": ""}
        try:
            record |= profile_cell(cell, point, problems, Path(command["run"]), detail)
        except Exception as error:
            traceback.print_exc()
            record |= {"status": status_of(error), "reason": reason_of(error)}
        restore(built.model, start)
        emit({"event": "record", "record": record})


def run_roofline(command: Message, emit: Emit) -> None:
    """Measure what the machine can do at most."""
    import torch

    from bench.profiling.roofline import measure

    if command["threads"]:
        torch.set_num_threads(command["threads"])
    device = command["device"]
    found = measure(device, command["dtype"], command["d"], command["n"])
    emit({"event": "environment", "device": device, "environment": found})


def run_environment(command: Message, emit: Emit) -> None:
    """Describe machine and software, and resolve the device "auto"."""
    import torch

    from bench.environment import describe

    device = command["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SpecError(f"expected a CUDA device for device {device!r}; torch sees none: use cpu")
    if command["threads"]:
        torch.set_num_threads(command["threads"])
    emit({"event": "environment", "device": device, "environment": describe(device)})


_OPEN = OpenBlocks(Workshop(_built, _entrant, check_batches, _fail))

_COMMANDS: dict[str, Callable[[Message, Emit], None]] = {
    "block": run_block,
    "preservation": run_preservation,
    "spectrum": run_spectrum,
    "environment": run_environment,
    "profile": run_profile,
    "roofline": run_roofline,
    "open": _OPEN.open,
    "turn": _OPEN.turn,
}

if __name__ == "__main__":
    main()

"""A point is built and its cells are timed in turns, each beside an SGD step."""

from dataclasses import dataclass, replace
from functools import partial
from random import Random
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from bench.costs.closed_forms import sample_counts
from bench.plan.points import Point
from bench.problems.build import Built, build
from bench.process.protocol import Message
from bench.seeds import seed_for
from bench.spec.sampling import Sampling
from bench.spec.variants import SGD, parse_variant
from bench.timing.clock import clocks_for, flush_l2
from bench.timing.foreign_load import ForeignLoad
from bench.timing.machine_state import Health, gpu_reader, sample_flags
from bench.timing.rounds import (
    Entrant,
    Rounds,
    Sample,
    options_at,
    quiet_collector,
    settled,
    sgd_call,
    teleport_call,
)
from bench.timing.start import copy_of, restore
from bench.worker.failures import Emit, fail
from bench.worker.gradient_check import look_at_start, misread
from bench.worker.memory_and_operations import counting_pass, memory_pass
from bench.worker.whole_calls import WholeCalls
from teleport_core import Problem, make
from teleport_core.verification.evaluation import evaluated
from teleport_core.verification.problem_checks import check_problem


def built_point(command: Message) -> tuple[Point, Built]:
    """The point of a command, and its model, loss and batches."""
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


@dataclass(frozen=True)
class _Place:
    """Where the cells of a block are measured, and the way back to where every sample starts."""

    point: Point
    built: Built
    problems: list[Problem]
    start: dict[str, Tensor]
    cold: bool

    def back(self) -> None:
        """The same weights, and nothing in the cache where it is to be cold."""
        restore(self.built.model, self.start)
        if self.cold:
            flush_l2(self.point.device)


def run_block(command: Message, emit: Emit) -> None:
    """Measure the cells of one point, interleaved."""
    point, built = built_point(command)
    place = _Place(point, built, *problems_and_start(built), command["sampling"]["cache"] == "cold")
    entrants = _entrants(command["cells"], point, place.problems, emit)
    rounds, machine = _sampled(command, place, entrants, emit)
    variants = {cell["cell_id"]: cell["variant"] for cell in command["cells"]}
    finished = []
    for entrant in entrants:
        facts: dict[str, Any] = dict(
            sample_counts(variants[entrant.cell_id], place.problems, point.t)
        )
        facts |= {
            "train_samples": built.train_samples,
            "network": built.network,
            "parameters": built.parameters,
            "model_note": built.note,
            "flags": [*machine["flags"], *sample_flags(entrant.seconds)],
            "health": machine["health"],
            "warmup": rounds.warmup._asdict(),
            "stop": rounds.stopping.facts(entrant.seconds),
        }
        finished.append(_finished(entrant, "ok", "", **facts))
        emit({**finished[-1], "event": "timed"})
    for entrant, message in zip(entrants, finished, strict=True):
        message.update(memory_pass(entrant, point.device, emit))
        place.back()
        if message["operations"] is None:
            message.update(counting_pass(entrant, place.problems, emit))
            place.back()
        emit({**message, "event": "timed"})
    _call_whole(command, place, finished, emit)
    for message in finished:
        emit(message)


def _sampled(
    command: Message, place: _Place, entrants: list[Entrant], emit: Emit
) -> tuple[Rounds, Message]:
    """Take the samples of all entrants but those that fall; how the machine was meanwhile."""
    order = seed_for(command["seed"], "rounds", command["block_id"])
    others = ForeignLoad()
    health = Health(gpu_reader(place.point.device))
    seen = look_at_start(place.problems[0], entrants, emit)
    rounds = Rounds(entrants, Sampling(**command["sampling"]), order, monotonic)
    with settled():
        for number, entrant in rounds:
            emit({"event": "note", "cell_id": entrant.cell_id})
            health.read()
            place.back()
            if not _one_sample(entrant, number, emit):
                entrants.remove(entrant)
            elif reason := misread(entrant, place.problems[0], seen):
                emit(_finished(entrant, "invalid", reason))
                entrants.remove(entrant)
    health.read(at_once=True)
    restore(place.built.model, place.start)
    return rounds, {"flags": [*others.flags(), *health.flags()], "health": health.facts()}


def _call_whole(command: Message, place: _Place, finished: list[Message], emit: Emit) -> None:
    """Add to what is said of each method the times of its whole calls, cell by cell."""
    variants = {cell["cell_id"]: cell["variant"] for cell in command["cells"]}
    order = Random(seed_for(command["seed"], "calls", command["block_id"]))
    calls = WholeCalls(place.point, place.problems[0], place.back, order, emit)
    with settled():
        for message in order.sample(finished, len(finished)):
            message.update(calls.of(message["cell_id"], variants[message["cell_id"]]))
            emit({**message, "event": "timed"})
    restore(place.built.model, place.start)


def _entrants(
    cells: list[Message], point: Point, problems: list[Problem], emit: Emit
) -> list[Entrant]:
    """The cells that can be called; the others fail."""
    clocks = clocks_for(point.device)
    entrants = []
    for cell in cells:
        try:
            entrants.append(entrant_of(cell, point, problems, clocks))
        except Exception as error:
            fail(cell["cell_id"], error, emit)
    return entrants


def problems_and_start(built: Built) -> tuple[list[Problem], dict[str, Tensor]]:
    """A problem a batch, bad input refused once before anything is timed, and the weights now."""
    problems = [Problem(built.model, built.loss_fn, *batch) for batch in built.batches]
    if of_several_tasks(problems[0]):
        problems = [replace(problem, by_task=True) for problem in problems]
    for problem in problems:
        check_problem(problem)
    return problems, copy_of(built.model)


def of_several_tasks(problem: Problem) -> bool:
    """Whether its loss has one value per task; a model that cannot be run is refused later."""
    try:
        with torch.no_grad():
            losses = problem.losses_of(problem.output())
    except Exception:
        return False
    return isinstance(losses, Tensor) and losses.dim() == 1 and len(losses) > 1


def entrant_of(cell: Message, point: Point, problems: list[Problem], clocks: Any) -> Entrant:
    """A cell as what is called and timed."""
    expected = point.t * point.b
    if cell["variant"] == str(SGD):
        call = partial(sgd_call, problems, point.t, clocks)
        return Entrant(cell["cell_id"], expected, call, held=True)
    variant = parse_variant(cell["variant"])
    teleporter = make(variant.method, **options_at(variant, point.t))
    if problems[0].by_task is not teleporter.takes_task_losses:
        evaluated(replace(problems[0], by_task=teleporter.takes_task_losses))  # refuses in words
    call = partial(teleport_call, teleporter, problems, clocks)
    return Entrant(cell["cell_id"], expected, call)


def _one_sample(entrant: Entrant, number: int, emit: Emit) -> bool:
    """Take one sample; False when the cell is over."""
    try:
        with quiet_collector():
            samples, entrant.steps_done, entrant.facts = entrant.call()
    except Exception as error:
        fail(entrant.cell_id, error, emit)
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

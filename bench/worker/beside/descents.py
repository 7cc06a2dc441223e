"""Descents on a function of two numbers: a record each, and one of the function around them."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from bench.preservation.descents import Plane, Rule, descend, landscape
from bench.process.protocol import Message
from bench.spec.probe import PLAIN
from bench.spec.variants import parse_variant
from bench.worker.block import built_point, problems_and_start
from bench.worker.failures import Emit, reason_of, status_of
from teleport_core import Problem, TeleportError, teleport


def run_descents(command: Message, emit: Emit) -> None:
    """Descend without teleports, then with those of each variant; a method that refuses says why.

    All are carried out again where a run is resumed, as the function is recorded around all.
    """
    point, built = built_point(command)
    problems, _ = problems_and_start(built)
    plane = Plane(problems[0])
    start = plane.at()
    same = {**asdict(point), "of": len(command["variants"]) + 2}
    points: list[tuple[float, float]] = list(getattr(built.model, "minimisers", ()))
    marked = list(points)
    for variant, facts in _descents(command, plane):
        points += [(visit["x"], visit["y"]) for visit in facts.get("visits", ())]
        plane.go(start)
        _say(command, emit, {**same, "variant": variant, **facts}, f"{command['unit']}-{variant}")
    facts = {"kind": "landscape", "minimisers": marked, **landscape(plane, points)}
    _say(command, emit, {**same, **facts}, f"{command['unit']}-landscape")


def _descents(command: Message, plane: Plane) -> Iterator[tuple[str, Message]]:
    settings = command["settings"]
    rule = Rule(**{name: settings[name] for name in Rule._fields})
    yield PLAIN, {"visits": descend(plane, rule)}
    for text in command["variants"]:
        move = mover(plane.problem, text, settings["teleport_steps"])
        try:
            yield text, {"visits": descend(plane, rule, move)}
        except TeleportError as error:
            traceback.print_exc()
            yield text, {"status": status_of(error), "reason": reason_of(error)}


def mover(problem: Problem, text: str, steps: int) -> Callable[[], object]:
    """One teleport of a variant from wherever the model is."""
    variant = parse_variant(text)
    options: dict[str, Any] = {**variant.options, "steps": steps}
    batch = (problem.inputs, problem.targets)
    return lambda: teleport(problem.model, problem.loss_fn, batch, method=variant.method, **options)


def _say(command: Message, emit: Emit, record: Message, cell_id: str) -> None:
    """One record, unless the journal holds it."""
    emit({"event": "note", "cell_id": cell_id})
    if cell_id not in command.get("done", ()):
        emit({"event": "record", "record": {"cell_id": cell_id, **record}})

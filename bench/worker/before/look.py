"""A look at a model before a plan is made: what it takes and is, and which methods move it."""

import traceback
from dataclasses import asdict, replace
from typing import Any

from bench.machine.environment import resolve_device
from bench.plan.points import Point
from bench.problems.build import Built
from bench.problems.factory import factory_arguments, load_factory
from bench.process.protocol import Message
from bench.spec.axes import AXES
from bench.spec.variants import parse_variant
from bench.timing.rounds import options_at
from bench.worker.block import built_point, problems_and_start
from bench.worker.failures import Emit
from teleport_core import ModelError, Teleporter, make


def run_look(command: Message, emit: Emit) -> None:
    """Say what of a sweep fits the model; what cannot be found out is left to its cells."""
    variants = command["variants"]
    found: dict[str, Any] = {"event": "looked", "thresholds": _thresholds(variants)}
    point = Point(**command["point"])
    point = replace(point, device=resolve_device(point.device))
    if ":" not in point.model:
        emit(found)
        return
    taken = factory_arguments(point.model, load_factory(point.model), ())
    emit({**found, "letters": [letter for letter in AXES if letter in taken]})
    _, built = built_point({**command, "point": asdict(point)})
    facts = {"network": built.network, "parameters": built.parameters, "note": built.note}
    emit({"event": "looked", **facts})
    emit({"event": "looked", "refused": _refused(built, variants)})


def _thresholds(variants: list[str]) -> dict[str, str]:
    """Variant -> the option that frees more than is exact, where it leaves a choice of one."""
    methods = {text: _made(text) for text in variants}
    free = {text: m for text, m in methods.items() if m.threshold and not m.chooses_threshold}
    return {
        text: str(method.threshold)
        for text, method in free.items()
        if method.threshold not in parse_variant(text).options
    }


def _made(text: str) -> Teleporter:
    variant = parse_variant(text)
    return make(variant.method, **variant.options)


def _refused(built: Built, variants: list[str]) -> dict[str, str]:
    """Variant -> why it cannot move this model, found by one step of it."""
    problems, _ = problems_and_start(built)
    refused = {}
    for text in variants:
        variant = parse_variant(text)
        method = make(variant.method, **options_at(variant, 1))
        try:
            method.advance(problems[0], method.prepare(problems[0]))
        except ModelError as error:
            refused[text] = str(error)
        except Exception:  # its cells will say so
            traceback.print_exc()
    return refused

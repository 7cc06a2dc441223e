"""Small training experiments as the worker is told of them, carried out in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.training.settings import Training

Message = dict[str, Any]

SMALL: dict[str, Any] = {
    "optimizers": ("adam",),
    "arms": ("nullspace:growth=4", "aa"),
    "seeds": 1,
    "epochs": 3,
    "samples": 160,
    "schedule": "0:2",
    "evaluations": 2,
    "evaluation_samples": 64,
    "lr": 0.01,
    "tune": 0,
    "horizon": 3,
}
TIMES = {"train_seconds", "teleport_seconds", "seconds", "busy_epochs", "interruptions", "of"}


def spec_of(base: dict[str, int] | None = None, model: str = "mlp", **changes: Any) -> Spec:
    """train-quick made small."""
    start = load_preset("train-quick")
    letters = {"t": 2, "d": 24, "n": 16, "l": 3, "b": 2} | (base or {})
    known = start.with_overrides(device="cpu", base=letters, model=model, threads=1)
    section = Training(**SMALL | changes)
    return known.with_overrides(sections={"training": section})


def commands(spec: Spec, run: Path) -> list[Message]:
    """What the worker is told, unit by unit; none is given any records."""
    units = make_units(make_plan(spec), [])
    return [{**unit.command, "run": str(run), "given": []} for unit in units]


def carried_out(command: Message, emit: Callable[[Message], None] | None = None) -> list[Message]:
    """The records of a unit."""
    from bench.trainer.unit import Unit

    said: list[Message] = []

    def keep(message: Message) -> None:
        if emit is not None:
            emit(message)
        if message["event"] == "record":
            said.append(message["record"])

    def explain(error: Exception) -> tuple[str, str]:
        return "crashed", f"{type(error).__name__}: {error}"

    torch.set_num_threads(1)
    Unit(command, keep, explain).run()
    return said


def judged(records: list[Message], arm: str, kind: str = "training") -> list[Message]:
    """The records of an arm that is judged, without what names it and without times."""
    left_out = {*TIMES, "arm", "trial_id", "cell_id"}
    return [
        {name: value for name, value in record.items() if name not in left_out}
        for record in records
        if record["kind"] == kind and record["arm"] == arm and record["role"] == "test"
    ]


def values(records: list[Message]) -> dict[str, Message]:
    """cell_id -> everything that is no time."""
    return {
        record["cell_id"]: {n: v for n, v in record.items() if n not in TIMES} for record in records
    }

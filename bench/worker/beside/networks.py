"""All methods on one network, one after the other: cost, drift and gain of each."""

import traceback
from dataclasses import asdict, dataclass
from functools import partial
from random import Random
from time import monotonic
from typing import Any

from bench.plan.points import Point
from bench.preservation.learning_rate import find_lr
from bench.preservation.starting_point import Subject, subject
from bench.preservation.trajectory import trajectory
from bench.process.protocol import Message
from bench.seeds import seed_for
from bench.spec.variants import Variant, parse_variant
from bench.timing.clock import Clock, WallClock
from bench.timing.memory import Memory, peak_of
from bench.timing.rounds import options_at, quiet_collector, settled, sgd_call, teleport_call
from bench.worker.block import built_point
from bench.worker.failures import Emit, reason_of, status_of, survived
from bench.worker.whole_calls import WholeCalls
from teleport_core import ModelError, make

ROUNDS = 7  # the range of six covers a median with 95 %
_LEAST = 3
_WARM_UP = 2
_SECONDS = 4.0  # after which no round is begun but the first three


def run_networks(command: Message, emit: Emit) -> None:
    """One record a variant; a method that does not apply has the reason in its own."""
    point, built = built_point(command)
    where = subject(built, "init")
    order = Random(seed_for(command["seed"], "networks", command["unit"]))
    for text in command["variants"]:
        cell_id = f"{command['unit']}-{text}"
        emit({"event": "note", "cell_id": cell_id})
        if cell_id in command.get("done", ()):
            continue
        trial = Trial(point, where, parse_variant(text), order, cell_id, emit)
        record = {**asdict(point), "cell_id": cell_id, "of": len(command["variants"])}
        record |= {"method": trial.variant.method, "variant": text, **_of(trial, command["growth"])}
        where.reset()
        emit({"event": "record", "record": record})


def _of(trial: "Trial", growth: float) -> Message:
    """What is measured of a method, or why nothing is."""
    try:
        with settled():
            found = {**trial.steps(), **trial.calls(), **trial.memory()}
        return {**found, **trial.effects(growth)}
    except ModelError as error:
        return {"refusal": reason_of(error)}
    except Exception as error:
        traceback.print_exc()
        return {"status": status_of(error), "reason": survived(error)}


@dataclass(frozen=True)
class Trial:
    """One method on one network; every measurement starts from the same weights."""

    point: Point
    where: Subject
    variant: Variant
    order: Random
    cell_id: str
    emit: Emit

    def note(self) -> None:
        """A sign of life."""
        self.emit({"event": "note", "cell_id": self.cell_id})

    def steps(self) -> Message:
        """Calls of both phases, each beside as many SGD steps, in an order drawn anew."""
        steps, facts, began = [], dict[str, Any](), monotonic()
        for number in range(-_WARM_UP, ROUNDS):
            if number >= _LEAST and monotonic() - began >= _SECONDS:
                break
            self.note()
            found = {name: self._timed(name) for name in self.order.sample(("own", "sgd"), 2)}
            (own, done, facts), (sgd, taken, _) = found["own"], found["sgd"]
            if number >= 0 and done:
                step = {"step_s": own["steps_s"] / done, "sgd_s": sgd["steps_s"] / taken}
                steps.append({"prepare_s": own["prepare_s"], **step})
        return {"steps": steps, "teleport_status": facts["teleport_status"]}

    def _timed(self, which: str) -> tuple[dict[str, float], int, dict[str, Any]]:
        self.where.reset()
        clocks: list[Clock] = [WallClock(self.point.device)]
        problems = [self.where.problem]
        with quiet_collector():
            if which == "sgd":
                (sample,), done, facts = sgd_call(problems, self.point.t, clocks)
            else:
                method = make(self.variant.method, **options_at(self.variant, self.point.t))
                (sample,), done, facts = teleport_call(method, problems, clocks)
        return sample, done, facts

    def calls(self) -> Message:
        """Whole calls of ``teleport``, each beside one SGD step."""
        self.note()
        where = self.where
        timed = WholeCalls(self.point, where.problem, where.reset, self.order, self.emit)
        return timed.of(self.cell_id, str(self.variant))

    def memory(self) -> Message:
        """Peak memory of one call more."""
        self.note()
        try:
            facts = peak_of(partial(self._timed, "own"), self.point.device).facts()
        except Exception as error:
            facts = Memory(None, note=f"peak memory is not known: {survived(error)}").facts()
        return {name: facts[name] for name in ("peak_memory_bytes", "memory_note")}

    def effects(self, growth: float) -> Message:
        """What a call of so many steps does to ||g||^2 and to the loss, on the batch and off it."""
        self.note()
        method = make(self.variant.method, **self.variant.options)
        lr = self.variant.options.get("lr")
        if lr is None and method.takes_lr:
            lr = find_lr(self.where, method, self.point.t, growth)
        self.note()
        length = None if lr is None else float(lr)
        found = trajectory(self.where, method, self.point.t, length, 1.0)
        first, last = found["rows"][0], found["rows"][-1]
        return {
            "lr": length,
            "moved": last["step"],
            "guarantee": found["guarantee"],
            "teleport_status": found["teleport_status"],
            "growth": last["grad_norm_sq"] / first["grad_norm_sq"],
            "drift": last["drift_float64"],
            "heldout_drift": last["heldout_drift"],
        }

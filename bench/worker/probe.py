"""A probe of one optimizer and seed: every arm from every start, a record each."""

import traceback
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from bench.plan.points import Point
from bench.probing.arms import Bench, Facts, Start
from bench.process.protocol import Message
from bench.spec.probe import PLAIN
from bench.spec.variants import parse_variant
from bench.worker.block import built_point
from bench.worker.failures import Emit, reason_of, status_of
from teleport_core import TeleportError, advise
from teleport_core.verification.problem_checks import check_problem


def run_probe(command: Message, emit: Emit) -> None:
    """Probe one seed, or say what can move where that is asked."""
    point, built = built_point(command)
    if command.get("advise"):
        text = str(advise(built.model, built.loss_fn, built.batches))
        emit({"event": "record", "record": {**asdict(point), "text": text}})
        return
    bench = Bench(built, command["optimizer"], command["lrs"], command["horizons"])
    for problem in bench.problems:
        check_problem(problem)
    arms = [PLAIN, *command["variants"]]
    same = {**asdict(point), "of": len(arms) * len(command["epochs"])}
    same |= {name: command[name] for name in ("optimizer", "horizons")} | {
        "seed": command["number"]
    }
    plain = bench.arm(bench.beginning())
    for epochs, start in _starts(bench, command["epochs"], point.b, _best_lr(plain)):
        for variant in arms:
            cell_id = f"{command['unit']}-{epochs}-{variant}"
            emit({"event": "note", "cell_id": cell_id})
            if cell_id in command.get("done", ()):
                continue
            facts = {"cell_id": cell_id, "epochs": epochs, "variant": variant}
            known = plain if (epochs, variant) == (0, PLAIN) else None
            facts |= known or _arm(bench, start, variant, point, command["teleports"])
            emit({"event": "record", "record": {**same, **facts}})


def _starts(bench: Bench, epochs: list[int], steps: int, lr: float) -> Iterator[tuple[int, Start]]:
    """The initial weights, and those after plain epochs at a learning rate."""
    start, done = bench.beginning(), 0
    for each in epochs:
        start, done = bench.later(start, (each - done) * steps, lr), each
        yield each, start


def _best_lr(facts: Facts) -> float:
    """Of the lowest loss at the last horizon."""
    known = [(each["losses"][-1], each["lr"]) for each in facts["sweep"]]
    finite = [pair for pair in known if pair[0] is not None]
    return float(min(finite, default=(0.0, facts["sweep"][0]["lr"]))[1])


def _arm(bench: Bench, start: Start, variant: str, point: Point, teleports: int) -> Facts:
    move = None
    if variant != PLAIN:
        move = partial(bench.teleports, parse_variant(variant), point.t, teleports)
    try:
        return bench.arm(start, move)
    except TeleportError as error:
        traceback.print_exc()
        return {"status": status_of(error), "reason": reason_of(error)}

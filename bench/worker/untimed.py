"""What is recorded off the clock: curves of Figure 6, spectra and profiles."""

import traceback
from dataclasses import asdict
from pathlib import Path

from bench.plan.profiles import Detail
from bench.preservation.learning_rate import find_lr
from bench.preservation.spectra import spectra
from bench.preservation.starting_point import subject
from bench.preservation.trajectory import trajectory
from bench.process.protocol import Message
from bench.profiling.cells import profile_cell
from bench.spec.variants import Variant, parse_variant
from bench.timing.start import restore
from bench.worker.block import built_point, problems_and_start
from bench.worker.failures import Emit, reason_of, status_of
from teleport_core import Teleporter, make


def run_preservation(command: Message, emit: Emit) -> None:
    """Follow one variant step by step at every threshold of the command."""
    point, built = built_point(command)
    variant = parse_variant(command["variant"])
    where = subject(built, command["start"])
    method = make(variant.method, **variant.options)
    lr = variant.options.get("lr")
    if lr is None and method.takes_lr:
        taus = [item["tau"] for item in command["items"]]
        lr = find_lr(where, method, point.t, command["growth"], taus)
    length = None if lr is None else float(lr)
    items = _at_thresholds(command["items"], method, variant)
    for item in [item for item in items if item["cell_id"] not in command.get("done", ())]:
        emit({"event": "note", **item})
        record = {
            **asdict(point),
            "cell_id": item["cell_id"],
            "tau": item["tau"],
            "lr": lr,
            "of": len(items),
            "status": "ok",
            "reason": "",
            **trajectory(where, method, point.t, length, item["tau"] or 1.0),
        }
        emit({"event": "record", "record": record})


def _at_thresholds(items: list[Message], method: Teleporter, variant: Variant) -> list[Message]:
    """What is followed: every threshold, or once where the variant leaves no choice of one."""
    if method.chooses_threshold:
        return [{**items[0], "tau": None}]
    if method.threshold is None:
        return [{**items[0], "tau": 1.0}]
    own = variant.options.get(method.threshold)
    return items if own is None else [{**items[0], "tau": float(own)}]


def run_spectrum(command: Message, emit: Emit) -> None:
    """Singular values of every layer's input at one point."""
    point, built = built_point(command)
    layers = list(spectra(subject(built, "init"), command["taus"]))
    for spectrum in layers:
        cell_id = f"{command['unit']}-{spectrum['position']}"
        if cell_id in command.get("done", ()):
            continue
        record = {**asdict(point), "cell_id": cell_id, "of": len(layers), **spectrum}
        emit({"event": "record", "record": record})


def run_profile(command: Message, emit: Emit) -> None:
    """Profile the cells of one point: traces into the run directory, a record each."""
    point, built = built_point(command)
    problems, start = problems_and_start(built)
    detail = Detail(**command["detail"])
    for cell in [c for c in command["cells"] if c["cell_id"] not in command.get("done", ())]:
        emit({"event": "note", "cell_id": cell["cell_id"]})
        record = {**cell, "of": len(command["cells"]), "status": "ok", "reason": ""}
        try:
            record |= profile_cell(cell, point, problems, Path(command["run"]), detail)
        except Exception as error:
            traceback.print_exc()
            record |= {"status": status_of(error), "reason": reason_of(error)}
        restore(built.model, start)
        emit({"event": "record", "record": record})

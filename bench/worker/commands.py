"""The loop of the worker: reads commands, streams events (see ``bench.process.protocol``)."""

import os
import sys
import traceback
from collections.abc import Callable
from pkgutil import resolve_name
from typing import TextIO

import torch

from bench.costs.roofline import measure
from bench.errors import SpecError
from bench.machine.environment import describe, resolve_device
from bench.measurements.measurement import measurements
from bench.process.protocol import Message, parse, send
from bench.worker.check import run_check
from bench.worker.failures import Emit, PoisonedError, is_poisoned, reason_of, status_of
from bench.worker.turns import OpenBlocks

Command = Callable[[Message, Emit], None]


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
            if is_poisoned():
                emit({"event": "retire", "reason": reason_of(error)})
                return
        emit({"event": "done"})


def run_roofline(command: Message, emit: Emit) -> None:
    """Measure what the machine can do at most."""
    if command["threads"]:
        torch.set_num_threads(command["threads"])
    device = command["device"]
    found = measure(device, command["dtype"], command["d"], command["n"])
    emit({"event": "environment", "device": device, "environment": found})


def run_environment(command: Message, emit: Emit) -> None:
    """Describe machine and software, and resolve the device "auto"."""
    device = resolve_device(command["device"])
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SpecError(f"expected a CUDA device for device {device!r}; torch sees none: use cpu")
    if command["threads"]:
        torch.set_num_threads(command["threads"])
    emit({"event": "environment", "device": device, "environment": describe(device)})


def _imported(address: str) -> Command:
    """What is at ``package.module:function``, imported when it is called first."""

    def run(command: Message, emit: Emit) -> None:
        resolve_name(address)(command, emit)

    return run


_OPEN = OpenBlocks()

_COMMANDS: dict[str, Command] = {
    **{each.name: _imported(each.runs) for each in measurements()},
    "check": run_check,
    "environment": run_environment,
    "roofline": run_roofline,
    "look": _imported("bench.worker.before.look:run_look"),
    "estimate": _imported("bench.worker.training:run_estimate"),
    "open": _OPEN.open,
    "turn": _OPEN.turn,
}

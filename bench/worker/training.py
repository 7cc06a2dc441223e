"""Training experiments: a unit is all trials of one optimizer and seed."""

import traceback

import torch

from bench.process.protocol import Message
from bench.trainer.estimate import unit_seconds
from bench.trainer.unit import Unit
from bench.worker.failures import Emit, is_poisoned, reason_of, status_of


def run_training(command: Message, emit: Emit) -> None:
    """Carry a unit out; a trial that fails leaves the others alone."""
    if command["threads"]:
        torch.set_num_threads(command["threads"])
    Unit(command, emit, _explained).run()


def run_estimate(command: Message, emit: Emit) -> None:
    """Say how many seconds units will take: each of one kind is tried for the others, too."""
    seconds = 0.0
    for one, count in command["units"]:
        if one["threads"]:
            torch.set_num_threads(one["threads"])
        seconds += count * unit_seconds(one)
    emit({"event": "environment", "environment": {"seconds": seconds}, "device": ""})


def _explained(error: Exception) -> tuple[str, str]:
    """Status and reason; raised again where the process can compute nothing any more."""
    traceback.print_exc()
    if is_poisoned():
        raise error
    return status_of(error), reason_of(error)

"""Blocks that stay built between commands, so that two workers can take turns.

A gate opens the same block in a worker on each of two source trees and then asks now one and now
the other for a turn at one cell: so many calls in a row, each from the same weights, each a sample.
"""

import gc
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.process.protocol import Message
from bench.process.source_tree import present_tree
from bench.timing.clock import Clock, clocks_for
from bench.timing.processor_clock import ProcessorClock
from bench.timing.rounds import Entrant, quiet_collector
from bench.timing.start import restore
from bench.worker.block import built_point, entrant_of, problems_and_start
from bench.worker.failures import Emit, fail
from teleport_core.errors import ProblemError

PACKAGES = ("bench", "teleport_core", "baselines")


@dataclass(frozen=True)
class _Ready:
    """A cell that can be asked for turns."""

    entrant: Entrant
    model: torch.nn.Module
    start: dict[str, torch.Tensor]


class OpenBlocks:
    """The blocks a worker has open."""

    def __init__(self) -> None:
        self._ready: dict[str, _Ready] = {}

    def open(self, command: Message, emit: Emit) -> None:
        """Build a block and call each of its cells once; those that fail are reported."""
        point, built = built_point(command)
        problems, start = problems_and_start(built)
        clocks: list[Clock] = clocks_for(point.device)
        if point.device == "cpu" and command["threads"] == 1:
            # Outside the wall clock, which decides.
            clocks.insert(0, ProcessorClock())
        for cell in command["cells"]:
            emit({"event": "note", "cell_id": cell["cell_id"]})
            try:
                entrant = entrant_of(cell, point, problems, clocks)
                ready = _Ready(entrant, built.model, start)
                _call(ready)
            except Exception as error:
                fail(cell["cell_id"], error, emit)
            else:
                self._ready[entrant.cell_id] = ready
        gc.collect()
        gc.freeze()
        tree, modules = present_tree(), list(sys.modules.items())
        strays = tree.strays(modules) if tree else []
        emit({"event": "opened", "sources": source_trees(modules), "strays": strays})

    def turn(self, command: Message, emit: Emit) -> None:
        """Call one cell ``calls`` times in a row; a failure ends the cell."""
        cell_id = command["cell_id"]
        ready = self._ready[cell_id]
        samples: list[Message] = []
        try:
            with quiet_collector():
                for _ in range(command["calls"]):
                    samples += _call(ready)
        except Exception as error:
            traceback.print_exc()
            del self._ready[cell_id]
            fail(cell_id, error, emit)
        else:
            emit({"event": "sample", "cell_id": cell_id, "samples": samples})


def _call(ready: _Ready) -> list[Message]:
    """The samples of one call, a sample a clock."""
    entrant = ready.entrant
    restore(ready.model, ready.start)
    samples, done, _ = entrant.call()
    if done != entrant.expected_steps:
        raise ProblemError(
            f"expected {entrant.expected_steps} steps; {done} were carried out, so the time is not "
            "that of the full work: choose n below d"
        )
    return samples


def source_trees(modules: Iterable[tuple[str, Any]]) -> list[str]:
    """The directories that our packages were imported from; one, unless trees are mixed."""
    files = [module.__file__ for name, module in modules if name in PACKAGES and module.__file__]
    return sorted({str(Path(file).resolve().parents[1]) for file in files})

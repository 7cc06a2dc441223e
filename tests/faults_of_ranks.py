"""Calls across ranks in which one of them fails, each in every way and on every rank in turn.

Run as ``faults_of_ranks.py DIRECTORY REPEATS``; a line of JSON for each case: what the ranks that
go on say, and how long they took. Ranks are forked, so that torch is imported once.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from one_of_ranks import (
    LOSS,
    ROWS,
    equal,
    forked,
    killed,
    net,
    raises,
    shard,
    stopped,
    told,
    values,
)
from torch import Tensor

from teleport_core import teleport
from teleport_core.distributed import MeanOver
from teleport_core.distributed.ranks import Ranks

WORLD, TIMEOUT = 3, 5
# In steps, where a sharded call has an exchange every few lines.
_EXCHANGE = 18
ACTS: dict[str, Callable[[], None]] = {"raise": raises, "kill": killed, "stop": stopped}


def call(way: str, kind: str, on: int, rank: int) -> dict[str, Any]:
    """One call, in which rank ``on`` fails."""
    model, start, seen, exchanged, moved = net(), values(net()), 0, 0, False
    x, y = shard(rank, ROWS[0])
    here = rank == on
    words = Ranks.words

    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        if here and kind in ACTS and way == "replicated" and seen == 2:
            ACTS[kind]()
        loss: Tensor = LOSS(output, targets)
        return loss

    def at_words(self: Ranks, what: str, *numbers: float) -> list[list[float]]:
        nonlocal exchanged, moved
        exchanged += 1
        if exchanged == _EXCHANGE:
            moved = not equal(values(model), start)
        if here and kind in ACTS and exchanged == _EXCHANGE:
            ACTS[kind]()
        return words(self, what, *numbers)

    if here and kind == "nan":
        x = x * torch.nan
    lr = 0.2 if here and kind == "options" else 0.1
    loss = MeanOver(loss_fn, lambda targets: (targets != 0).sum())
    with mock.patch.object(Ranks, "words", at_words):
        options = {"ranks": way, "lr": lr, "process_group": dist.group.WORLD}
        began = time.monotonic()
        said = told(model, lambda: teleport(model, loss, (x, y), **options))
    return said | {"seconds": time.monotonic() - began, "moved": moved}


def run(rank: int, store: Path, way: str, kind: str, on: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=WORLD,
        timeout=timedelta(seconds=TIMEOUT if kind == "stop" else 60),
    )
    said = call(way, kind, on, rank)
    Path(f"{store}.{rank}").write_text(json.dumps(said))
    os._exit(0)  # a group of which one has gone cannot be left in order


def case(store: Path, way: str, kind: str, on: int) -> dict[int, Any]:
    """What every rank but the one that ends or hangs says."""
    pids = forked(lambda rank: run(rank, store, way, kind, on), WORLD)
    gone = {on} if kind in ("kill", "stop") else set()
    for rank, pid in enumerate(pids):
        if rank not in gone:
            os.waitpid(pid, 0)
    for rank in gone:
        os.kill(pids[rank], signal.SIGKILL)
        os.waitpid(pids[rank], 0)
    answers = {rank: Path(f"{store}.{rank}") for rank in range(WORLD) if rank not in gone}
    return {rank: json.loads(file.read_text()) for rank, file in answers.items()}


def main(directory: Path, repeats: int) -> None:
    for repeat in range(repeats):
        for way in ("replicated", "sharded"):
            for kind in ("raise", "nan", "options", "kill", "stop"):
                for on in range(WORLD):
                    found = case(directory / f"{repeat}-{way}-{kind}-{on}", way, kind, on)
                    line = {"way": way, "kind": kind, "on": on, "ranks": found}
                    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

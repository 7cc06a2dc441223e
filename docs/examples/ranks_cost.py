"""Teleport steps across ranks on one machine, measured beside the alpha-beta model.

python docs/examples/ranks_cost.py --ranks 1,2,4 --columns 64 --width 512 --scaling strong

Ranks are processes over gloo, each with one thread. Bytes are those that the calls report, the
seconds of a step are (calls of 9 steps - calls of 1 step) / 8, the median over repeats.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from bench.costs.ranks import Machine, Stack, teleport_step
from teleport_core import teleport

STEPS, REPEATS = 8, 5


def net(width: int) -> nn.Module:
    """Three layers."""
    torch.manual_seed(0)
    body = [nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*body, nn.Linear(width, width, bias=False))


def say(line: str) -> None:
    """Print at once, before a rank ends."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def seconds(call: Callable[[], Any]) -> float:
    """Of one call that all ranks begin together."""
    dist.barrier()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def median(call: Callable[[], Any]) -> float:
    """Seconds of a call after a first one."""
    call()
    return statistics.median(seconds(call) for _ in range(REPEATS))


def rates(width: int, columns: int, world: int) -> Machine:
    """Alpha by a small sum, beta by a large one, gamma by a product like those of a step."""
    small, large = torch.zeros(1), torch.zeros(2**20)
    alpha = beta = 0.0
    if world > 1:
        turns, received = 2 * (world - 1), 2 * (world - 1) / world * 4 * len(large)
        alpha = median(lambda: dist.all_reduce(small)) / turns
        beta = max(median(lambda: dist.all_reduce(large)) - turns * alpha, 0.0) / received
    weight, x = torch.randn(width, width), torch.randn(width, columns)
    gamma = median(lambda: weight @ x) / (2 * width * width * columns)
    return Machine(world, alpha, beta, gamma)


def measure(rank: int, world: int, columns: int, width: int, way: str) -> tuple[float, float]:
    """Seconds and bytes of a step."""
    torch.manual_seed(1)
    x, y = torch.randn(columns, width), torch.randint(0, width, (columns,))
    share = slice(rank * columns // world, (rank + 1) * columns // world)
    received: dict[int, float] = {}

    def call(steps: int) -> None:
        options = {"lr": 1e-6, "steps": steps, "verify": "off", "ranks": way}
        batch = x[share], y[share]
        group = dist.group.WORLD
        model = net(width)
        result = teleport(model, nn.CrossEntropyLoss(), batch, process_group=group, **options)
        received[steps] = result.across.bytes

    one, many = median(lambda: call(1)), median(lambda: call(1 + STEPS))
    return (many - one) / STEPS, (received[1 + STEPS] - received[1]) / STEPS


def run(rank: int, world: int, store: str, given: argparse.Namespace) -> None:
    """One rank, which measures both ways; the first one says what came of it."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    columns = given.columns * (world if given.scaling == "weak" else 1)
    stack = Stack([(given.width, given.width + 1)] * 2 + [(given.width, given.width)])
    machine = rates(given.width, columns, world)
    for way in ("replicated", "sharded"):
        took, received = measure(rank, world, columns, given.width, way)
        model = "thin" if way == "sharded" and world > 1 else "replicated"
        expected = teleport_step(stack, columns, machine, model)
        if rank == 0:
            say(
                f"{world} | {columns} | {way} | {received:,.0f} | {expected.received:,.0f} | "
                f"{1e3 * took:.2f} | {1e3 * expected.seconds:.2f}"
            )
    os._exit(0)


def main() -> None:
    """Measure with each number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--scaling", choices=["strong", "weak"], default="strong")
    given = parser.parse_args()
    say("ranks | columns | way | bytes a step | model | ms a step | model")
    for world in map(int, given.ranks.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            pids = []
            for rank in range(world):
                pid = os.fork()
                if not pid:
                    try:
                        run(rank, world, f"{folder}/store", given)
                    finally:
                        os._exit(1)
                pids.append(pid)
            for pid in pids:
                os.waitpid(pid, 0)


if __name__ == "__main__":
    main()

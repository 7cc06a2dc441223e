"""A null-space step and a whole call against an SGD step on one device, as a table and a CSV file.

    python tests/performance/engine_table.py [--device cuda] [--out engine.csv] [--seconds 60]

All times are by the wall, synchronised, medians of interleaved rounds. ``step`` and ``prepare`` are
of a teleporter that is kept, ``call`` is ``teleport_core.teleport`` as a user writes it, ``eager``
a step without a CUDA graph.
"""

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import teleport_core
from teleport_core.nullspace.half_hvp import cuda_graph

STEPS, LR = 8, 1e-7
BASE = {"d": 1024, "n": 32, "l": 3}
SWEEPS = {
    "d": (64, 256, 512, 1024, 2048, 4096),
    "n": (16, 32, 64, 128, 256, 384),
    "l": (2, 3, 4, 8, 16),
}
COLUMNS = (
    "d", "n", "l", "rounds", "sgd_s", "prepare_s", "step_s", "eager_step_s", "call_s",
    "step_sgd_steps", "call_sgd_steps", "peak_call_bytes", "peak_sgd_bytes",
)  # fmt: skip


def network(d: int, l: int, device: torch.device) -> nn.Sequential:  # noqa: E741
    torch.manual_seed(0)
    sizes = [784, *[d] * (l - 1), 10]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, bias=False), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers[:-1]).to(device)


class Clock:
    """Wall time of a call, after everything launched is done."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def seconds(self, call: Callable[[], object]) -> float:
        self.wait()
        start = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - start

    def peak(self, call: Callable[[], object]) -> int:
        """Bytes allocated on the GPU beyond what was there; 0 on a CPU."""
        if not self.cuda:
            return 0
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        self.wait()
        return int(torch.cuda.max_memory_allocated() - before)


def measure(d: int, n: int, l: int, device: torch.device, rounds: int) -> dict[str, Any]:  # noqa: E741
    clock, model = Clock(device), network(d, l, device)
    x, y = torch.rand(n, 784, device=device), torch.randint(0, 10, (n,), device=device)
    parameters = list(model.parameters())
    teleporter = teleport_core.make("nullspace", steps=STEPS, lr=LR)
    problem = teleport_core.Problem(model, F.cross_entropy, x, y)
    phases: dict[str, list[float]] = {name: [] for name in ("sgd", "prepare", "steps", "call")}

    def sgd() -> None:
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, list(gradients), alpha=-LR)

    def call() -> None:
        result = teleport_core.teleport(model, F.cross_entropy, (x, y), steps=STEPS, lr=LR)
        if result.steps_done != STEPS:
            raise SystemExit(f"expected {STEPS} steps; got {result}")

    def one_round() -> None:
        phases["sgd"].append(clock.seconds(sgd))
        state: list[Any] = []
        phases["prepare"].append(clock.seconds(lambda: state.append(teleporter.prepare(problem))))
        phases["steps"].append(clock.seconds(lambda: teleporter.advance(problem, state[0])))
        state.clear()
        phases["call"].append(clock.seconds(call))

    for _ in range(3):
        one_round()
    for times in phases.values():
        times.clear()
    for _ in range(rounds):
        one_round()
    medians = {name: statistics.median(times) for name, times in phases.items()}
    step = medians["steps"] / STEPS
    return {
        "d": d, "n": n, "l": l, "rounds": rounds,
        "sgd_s": medians["sgd"], "prepare_s": medians["prepare"], "step_s": step,
        "eager_step_s": eager_step(problem, clock), "call_s": medians["call"],
        "step_sgd_steps": step / medians["sgd"],
        "call_sgd_steps": medians["call"] / medians["sgd"],
        "peak_call_bytes": clock.peak(call), "peak_sgd_bytes": clock.peak(sgd),
    }  # fmt: skip


def eager_step(problem: teleport_core.Problem, clock: Clock) -> float:
    """Median seconds of a step that no graph was captured of."""
    teleporter = teleport_core.make("nullspace", steps=STEPS, lr=LR)
    times = []
    for _ in range(5):
        state = teleporter.prepare(problem)
        recorded = state.loop
        if isinstance(recorded, cuda_graph.Recorded):
            state.loop = cuda_graph.Eager(recorded.schedule, float("inf"))
        times.append(clock.seconds(lambda s=state: teleporter.advance(problem, s)) / STEPS)
        del state, recorded
    return statistics.median(times[2:])


def spoken(row: dict[str, Any]) -> str:
    """A row in milliseconds."""
    sgd, prepare, steps, eager, call = (
        1e3 * s
        for s in (
            row["sgd_s"],
            row["prepare_s"],
            STEPS * row["step_s"],
            STEPS * row["eager_step_s"],
            row["call_s"],
        )
    )
    return (
        f"d={row['d']:<5} n={row['n']:<4} l={row['l']:<3} SGD step {sgd:.3f} ms  prepare "
        f"{prepare:.3f}  {STEPS} steps {steps:.3f}  eager {eager:.3f}  call {call:.3f} = "
        f"{row['call_sgd_steps']:.1f} SGD steps"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("engine.csv"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    end = time.monotonic() + given.seconds
    points = [BASE | {axis: value} for axis, values in SWEEPS.items() for value in values]
    # From n = d on nothing is free to move.
    points += [{"d": d, "n": 256, "l": 3} for d in SWEEPS["d"] if d > 256]
    points.sort(key=lambda p: p != BASE)
    done: set[tuple[int, ...]] = set()
    with given.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for point in points:
            if tuple(point.values()) in done:
                continue
            done.add(tuple(point.values()))
            if time.monotonic() > end:
                print("the time is spent")
                break
            row = measure(**point, device=torch.device(given.device), rounds=given.rounds)
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
            file.flush()
            print(spoken(row), flush=True)


if __name__ == "__main__":
    main()

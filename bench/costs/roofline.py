"""What this machine can do at most: how fast it copies and how fast it multiplies, measured.

A call is compared with these rates: it cannot beat the product rate on operations, nor the copy
rate on bytes that come from memory. What stays in a cache may; a share above one says so.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

from teleport_core import products
from teleport_core.wall_clock import wall_clock

COPY_BYTES = 2**27  # 128 MiB and its copy: beyond the caches of most machines
SQUARE = {"cpu": 1024, "cuda": 8192}
_SECONDS = 0.3  # for each rate
_LEAST_REPEATS = 3


def measure(device: str, dtype: str, d: int, n: int) -> dict[str, Any]:
    """Rates of this machine, for ``environment.json``, and what they were measured with.

    Bytes copied count as read and written. Products are large and square, or thin, as most of an
    engine's work is: [d, d] times [d, n]; each by the fastest library that an engine would use.
    """
    kind: torch.dtype = getattr(torch, dtype)
    now = wall_clock(device)
    size = SQUARE[device.partition(":")[0]]

    def copy() -> float:
        source = torch.zeros(COPY_BYTES, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        return 2.0 * COPY_BYTES / best_seconds(lambda: target.copy_(source), now)

    def product(rows: int, inner: int, columns: int) -> float:
        left = torch.ones(rows, inner, dtype=kind, device=device)
        right = torch.ones(inner, columns, dtype=kind, device=device)
        out = torch.empty(rows, columns, dtype=kind, device=device)
        ways: list[Callable[[], object]] = [lambda: torch.mm(left, right, out=out)]
        if products.gains(rows, right):
            ways.append(lambda: products.by_onednn(left, right))
        return 2.0 * rows * inner * columns / min(best_seconds(way, now) for way in ways)

    return {
        "copy_bytes_per_s": copy(),
        "matmul_flop_per_s": product(size, size, size),
        "thin_matmul_flop_per_s": product(d, d, n),
        "matmul_size": size,
        "thin_matmul_size": [d, d, n],
        "roofline_device": device,
        "roofline_dtype": dtype,
    }


def best_seconds(
    work: Callable[[], object], now: Callable[[], float] = perf_counter, seconds: float = _SECONDS
) -> float:
    """The shortest time of one call of ``work``, warmed up, repeated for about ``seconds``.

    Short work is timed in bunches, so that reading the clock does not count.
    """
    work()
    bunch = 1
    begun = now()
    work()
    once = max(now() - begun, 1e-9)
    bunch = max(1, round(0.01 / once))
    best = float("inf")
    repeats = 0
    begun = now()
    while repeats < _LEAST_REPEATS or now() - begun < seconds:
        start = now()
        for _ in range(bunch):
            work()
        best = min(best, (now() - start) / bunch)
        repeats += 1
    return best

"""Wall time of work that a device may still be at when the call that asked for it is back."""

from collections.abc import Callable
from time import perf_counter

import torch


def wall_clock(device: torch.device | str) -> Callable[[], float]:
    """A function that tells the time in seconds; on CUDA once all that was launched is done.

    While a graph is captured nothing runs, and waiting is forbidden.
    """
    where = torch.device(device)
    if where.type != "cuda":
        return perf_counter

    def synchronised() -> float:
        if not torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize(where)
        return perf_counter()

    return synchronised

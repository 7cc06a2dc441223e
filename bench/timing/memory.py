"""Peak memory of a call, in a pass of its own apart from the clock.

On CUDA it is what torch's allocator handed out (allocated) and what it took from the device
(reserved), each at its highest, less what it held before the call. On the CPU it is the highest
resident set of the process during the call less the one before it; the kernel keeps that highest
value and lets a process reset it by writing 5 to ``/proc/self/clear_refs`` (see proc(5)).
"""

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
# Linux counts ru_maxrss in KiB, macOS in bytes.
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Memory(NamedTuple):
    """Bytes beyond what was in use before the call; ``note`` says why ``peak`` is None.

    ``peak`` is allocated on CUDA, resident on the host, which knows no ``reserved`` bytes.
    """

    peak: int | None
    reserved: int | None = None
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """As fields of a cell's record."""
        return {
            "peak_memory_bytes": self.peak,
            "reserved_memory_bytes": self.reserved,
            "memory_note": self.note,
        }


def peak_of(call: Callable[[], object], device: str) -> Memory:
    """Carry out ``call`` once and tell how much more memory it took at its highest."""
    gc.collect()
    return _cuda_peak(call, device) if device.startswith("cuda") else _host_peak(call)


def _cuda_peak(call: Callable[[], object], device: str) -> Memory:
    torch.cuda.synchronize(device)
    # What the cache holds would be used without being reserved again.
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    allocated = torch.cuda.memory_allocated(device)
    reserved = torch.cuda.memory_reserved(device)
    call()
    torch.cuda.synchronize(device)
    return Memory(
        torch.cuda.max_memory_allocated(device) - allocated,
        torch.cuda.max_memory_reserved(device) - reserved,
    )


def _host_peak(call: Callable[[], object]) -> Memory:
    _return_free_memory()
    if not _reset_peak():
        return _host_peak_without_reset(call)
    before = _status_bytes("VmRSS")
    call()
    return Memory(max(0, _status_bytes("VmHWM") - before))


def _host_peak_without_reset(call: Callable[[], object]) -> Memory:
    """The highest value since the process began tells only of a call that exceeds it."""
    highest = _highest_ever()
    before = _status_bytes("VmRSS") if _STATUS.is_file() else highest
    call()
    after = _highest_ever()
    if after > highest:
        return Memory(after - before)
    note = "peak memory is not known: the system does not let a process reset its highest value"
    return Memory(None, note=note)


def _highest_ever() -> int:
    # A process started by vfork inherits its parent's ru_maxrss, not its VmHWM.
    if _STATUS.is_file():
        return _status_bytes("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT


def _reset_peak() -> bool:
    """Set the highest resident set to the present one; False where that is not allowed."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _status_bytes(name: str) -> int:
    line = next(x for x in _STATUS.read_text().splitlines() if x.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _return_free_memory() -> None:
    """Give freed memory back to the system, so that using it again counts; glibc can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

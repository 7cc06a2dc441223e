"""What becomes of a cell that raised, and of the worker it raised in."""

import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from bench.errors import BenchError, SpecError
from bench.plain_text import plain
from bench.process.protocol import Message
from teleport_core import TeleportError
from teleport_core.errors import ModelError, ProblemError

Emit = Callable[[Message], None]

_ROOT = Path(__file__).resolve().parents[2]
_OURS = tuple(_ROOT / package for package in ("bench", "teleport_core", "baselines"))
_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
_MOST_FRAMES = 3


class PoisonedError(Exception):
    """The process cannot compute on its device any more: another has to go on."""


def status_of(error: Exception) -> str:
    """The status of a cell that raised.

    Skipped: the method cannot move this model, or there is no such model at this point. Invalid:
    the numbers are no good, such as a loss that is NaN. Oom: out of memory. Crashed: anything else.
    """
    if isinstance(error, (ModelError, SpecError)):
        return "skipped"
    if isinstance(error, (ProblemError, torch.linalg.LinAlgError)):  # type: ignore[attr-defined]
        return "invalid"
    oom = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    # The CPU allocator raises a plain RuntimeError.
    return "oom" if oom or "DefaultCPUAllocator" in str(error) else "crashed"


def is_poisoned() -> bool:
    """Whether an error has left the CUDA context unusable, as an illegal access does."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:  # torch.AcceleratorError is one; so is what older versions raise
        return True
    return False


def reason_of(error: Exception) -> str:
    """What is shown to the user: our own errors speak for themselves."""
    text = plain(str(error))
    ours = isinstance(error, (BenchError, TeleportError))
    return text if ours else f"{type(error).__name__}: {text}{_place(error)}"


def _place(error: Exception) -> str:
    """The last frames of code that is neither ours nor installed, the innermost last."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame)]
    places = [
        f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}"
        for frame in own[-_MOST_FRAMES:]
    ]
    return f" ({' > '.join(places)})" if places else ""


def _is_users(frame: traceback.FrameSummary) -> bool:
    path = Path(frame.filename).resolve()
    installed = bool({"site-packages", "dist-packages"} & set(path.parts))
    known = any(map(path.is_relative_to, (*_OURS, _LIBRARY)))
    return path.suffix == ".py" and not (installed or known)


def fail(cell_id: str, error: Exception, emit: Emit) -> None:
    """Report a cell that raised; PoisonedError: nothing can be computed on the device after it."""
    traceback.print_exc()
    status = status_of(error)
    emit({"event": "cell", "cell_id": cell_id, "status": status, "reason": reason_of(error)})
    if is_poisoned():
        raise PoisonedError(f"the CUDA context is unusable after: {reason_of(error)}")
    if status == "oom":
        empty_cache()


def empty_cache() -> None:
    """Give back what the device's allocator holds for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def survived(error: Exception) -> str:
    """What went wrong, where the worker can go on; else it is raised again."""
    traceback.print_exc()
    if is_poisoned():
        raise error
    empty_cache()
    return f"{status_of(error)}: {reason_of(error)}"

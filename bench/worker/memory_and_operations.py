"""What is asked of a cell after its timing, each in a call of its own: peak memory, operations.

A failure here costs what was asked, not the times.
"""

from bench.costs.closed_forms import UNKNOWN, call_counts
from bench.process.protocol import Message
from bench.timing.memory import Memory, peak_of
from bench.timing.rounds import Entrant
from bench.worker.failures import Emit, survived
from teleport_core import Problem


def memory_pass(entrant: Entrant, device: str, emit: Emit) -> Message:
    """Peak memory of one more call."""
    emit({"event": "note", "cell_id": entrant.cell_id})
    try:
        return peak_of(entrant.call, device).facts()
    except Exception as error:
        note = f"peak memory is not known: {survived(error)}"
        return Memory(None, note=note).facts()


def counting_pass(entrant: Entrant, problems: list[Problem], emit: Emit) -> Message:
    """Operations and bytes of one more call, for what no closed form describes."""
    emit({"event": "note", "cell_id": entrant.cell_id})
    try:
        return dict(call_counts(entrant.call, problems))
    except Exception as error:
        return {**UNKNOWN, "operations_note": f"operations are not known: {survived(error)}"}

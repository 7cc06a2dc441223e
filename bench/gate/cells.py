"""The cells of a gate: which there are, how one is written down, and which belong to nobody."""

from collections.abc import Mapping
from dataclasses import replace

from bench.gate.rounds import LOOKS
from bench.plan.points import Plan
from bench.plan.units import Unit, block_unit
from bench.process.protocol import Message
from bench.spec.variants import SGD
from bench.storage.records import CellRecord, made

# Cell -> status and reason of what can be asked for no more turns.
Failures = Mapping[str, tuple[str, str]]

_REFUSED = ("skipped", "invalid")


def gate_units(plan: Plan, *, own: bool = False) -> list[Unit]:
    """The blocks of a plan; ``sgd`` is part of them where the model is the user's ``own``.

    On a network of ours its code is torch's, and the same on both sides.
    """
    blocks = [
        replace(block, cells=tuple(c for c in block.cells if own or c.variant != SGD))
        for block in plan.blocks
    ]
    return [block_unit(plan.spec, block) for block in blocks]


def inapplicable(cells: set[str], base: Failures, head: Failures) -> set[str]:
    """Cells of methods that do not apply to a model of the user's, in either revision.

    Refused by head, or failed in the same way on both sides; none where nothing ran in head, which
    then is the model's fault.
    """
    if cells <= head.keys():
        return set()
    return {
        cell
        for cell in cells & base.keys() & head.keys()
        if head[cell][0] in _REFUSED or head[cell][0] == base[cell][0]
    }


def record_of(
    unit: Unit, cell: Message, session: str, failures: Failures, samples: list[Message]
) -> CellRecord:
    """A cell as it stands in a journal."""
    status, reason = failures.get(cell["cell_id"], ("ok", ""))
    facts = {
        **unit.base,
        **cell,
        "session": session,
        "status": status,
        "reason": reason,
        "steps_done": unit.base["t"] * unit.base["b"] if status == "ok" else 0,
        "samples": samples,
        "looks": len(LOOKS),
    }
    return made(facts, CellRecord)

"""One revision measured without the other, to be kept, or judged by what was kept.

It is measured in two processes that take turns: where the memory of a process lies may make it
faster or slower for as long as it lives, and samples of two are less at the mercy of that.
"""

from dataclasses import replace

from msgspec import structs

from bench.comparison.judgement import WALL, Judgement, Measured
from bench.comparison.sides import Side
from bench.gate.cells import Failures, inapplicable
from bench.gate.gate import Rules, Say, SideResult, run_gate
from bench.gate.rounds import LOOKS
from bench.gate.side_worker import Launch
from bench.gate.subject import Subject
from bench.spec.spec import Spec
from bench.storage.records import CellRecord

_ROUNDS = LOOKS[1]


def run_alone(subject: Subject, spec: Spec, launch: Launch, say: Say) -> tuple[Spec, SideResult]:
    """Measure one source tree; the spec with its device resolved, and what was found.

    Raises:
        NotComparableError: its worker does not start, or runs other code.
    """
    rules = Rules(looks=(_ROUNDS,), stages=1, every_method=True)
    result = run_gate((subject, subject), spec, lambda *_: rules, launch, say)
    one, other = result.sides
    pairs = zip(one.records, other.records, strict=True)
    return result.spec, replace(one, records=[_pooled(*pair) for pair in pairs])


def _pooled(one: CellRecord, other: CellRecord) -> CellRecord:
    """A cell with the samples of both processes; one that failed in either has failed."""
    failed = next((record for record in (one, other) if record.status != "ok"), None)
    samples = [*one.samples, *other.samples]
    return failed or structs.replace(one, session="", samples=samples)


def judge_kept(
    base: Measured, head: Measured, rules: Rules, lacking: str, *, own: bool
) -> tuple[list[Judgement], dict[str, str]]:
    """Verdicts on what head has, and label -> reason of what is left out of it.

    ``lacking`` is the reason of cells that the baseline does not have: they are NEW if head can do
    them, BROKEN if not. Methods that do not apply to a model of the user's ``own`` are left out.
    """
    cells = set(head[WALL])
    filled = {clock: _filled(base.get(clock, {}), head[clock], lacking) for clock in head}
    left_out = inapplicable(cells, _failures(filled[WALL]), _failures(head[WALL])) if own else set()
    kept = [
        {clock: {c: side for c, side in sides.items() if c not in left_out} for clock, sides in m}
        for m in (filled.items(), head.items())
    ]
    reasons = {head[WALL][cell].label: head[WALL][cell].reason for cell in left_out}
    return rules.judge(*kept), reasons


def _filled(base: dict[str, Side], head: dict[str, Side], lacking: str) -> dict[str, Side]:
    """The baseline's cells that head has, each of the others as one that was skipped."""
    return {
        cell: base.get(cell)
        or replace(side, seconds=(), rounds=(), status="skipped", reason=lacking)
        for cell, side in head.items()
    }


def _failures(sides: dict[str, Side]) -> Failures:
    return {c: (side.status, side.reason) for c, side in sides.items() if side.status != "ok"}

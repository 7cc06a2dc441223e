"""The gate: base and head, two revisions of this project or of a model of the user's, in turns.

Cells that are not clearly the same after the first pair of processes are measured again in a second
pair, and that measurement alone counts: two processes that run the same code may differ for as long
as they live, by where their memory lies. So every SLOWER was seen twice.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.comparison.differences import explained, facts_differences
from bench.comparison.judgement import Judgement, Measured, judge, measured
from bench.comparison.verdicts import Verdict
from bench.errors import NotComparableError
from bench.gate.cells import gate_units, inapplicable, record_of
from bench.gate.rounds import LOOKS, Duel
from bench.gate.side_worker import Lane, Launch
from bench.gate.subject import Subject
from bench.machine.affinity import one_core
from bench.machine.benchmark_code import benchmark_key
from bench.machine.comparable import comparable_key
from bench.plan.points import make_plan
from bench.process.worker import WorkerGoneError
from bench.seeds import seed_for
from bench.spec.spec import Spec
from bench.storage.records import CellRecord

MIN_EFFECT = 0.10  # ours: on shared machines less than this is seldom worth a red build

Say = Callable[[str], None]


@dataclass(frozen=True)
class Rules:
    """When a difference matters."""

    default: float = MIN_EFFECT
    min_effects: Mapping[str, float] = field(default_factory=dict)  # of calibrated cells
    looks: Sequence[int] = LOOKS  # after so many rounds
    stages: int = 2  # how many pairs of processes may measure a cell
    every_method: bool = False  # whether what applies to a model on neither side stays in

    def judge(self, base: Measured, head: Measured) -> list[Judgement]:
        """Verdicts on all cells."""
        return judge(
            base, head, min_effects=self.min_effects, default=self.default, looks=len(LOOKS)
        )


# Keys of machine and measuring code -> the rules that hold there.
RulesFor = Callable[[str, str], Rules]


@dataclass
class SideResult:
    """What was measured on one source tree; of a cell that was measured again the last counts.

    ``benchmark`` is the key of its measuring code; empty where it has none.
    """

    environment: dict[str, Any]
    benchmark: str
    records: list[CellRecord] = field(default_factory=list)


@dataclass(frozen=True)
class GateResult:
    """Both sides, the spec with its device resolved, and the verdicts."""

    spec: Spec
    sides: tuple[SideResult, SideResult]
    measured: tuple[Measured, Measured]
    judgements: list[Judgement]


def run_gate(
    subjects: tuple[Subject, Subject], spec: Spec, rules_for: RulesFor, launch: Launch, say: Say
) -> GateResult:
    """Measure what a spec says of base and head; ``say`` tells how far it is.

    Raises:
        NotComparableError: base cannot be measured by this gate.
    """
    lanes = Lane("base", subjects[0], launch), Lane("head", subjects[1], launch)
    try:
        with one_core(wanted=spec.device == "cpu" and spec.threads == 1):
            return _Gate(lanes, spec, rules_for, say).run()
    finally:
        for lane in lanes:
            lane.kill()


class _Gate:
    """One gate from the first worker to the last."""

    def __init__(self, lanes: tuple[Lane, Lane], spec: Spec, rules_for: RulesFor, say: Say) -> None:
        self._lanes = lanes
        self._say = say
        head_fault = self._start()
        self._sides, device = self._describe(spec, head_fault)
        head = self._sides[1]
        self._rules = rules_for(comparable_key(head.environment), head.benchmark)
        self._spec = spec.with_overrides(device=device)
        self._own = bool(lanes[1].subject.model)
        self._units = gate_units(make_plan(self._spec), own=self._own)
        if head_fault:
            ids = [cell for unit in self._units for cell in unit.cell_ids]
            lanes[1].failures.update(dict.fromkeys(ids, ("crashed", head_fault)))

    def run(self) -> GateResult:
        """Measure, and measure again what was not the same."""
        cells = {cell for unit in self._units for cell in unit.cell_ids}
        if self._sides[0].benchmark != self._sides[1].benchmark:
            self._keep(cells, "", Duel(self._lanes, 0))  # nothing can be learnt from measuring
            cells = set()
        for stage in range(self._rules.stages):
            if stage and cells:
                self._say(f"measuring {len(cells)} cells again in new processes")
                self._start_again(cells)
            if cells:
                self._measure(stage, cells)
                cells = {
                    j.comparison.cell_id
                    for j in self._judge()
                    if j.verdict is not Verdict.SAME and j.comparison.cell_id in cells
                }
        return GateResult(self._spec, self._sides, self._final(), self._judge())

    def _start(self) -> str:
        """Both workers, side by side; why head has none, if it has none."""
        base, head = self._lanes
        base.start()
        head.start()
        try:
            base.ready()
        except WorkerGoneError as gone:
            raise NotComparableError(
                f"expected a worker that starts in base; {gone.reason}: choose another --base"
            ) from gone
        try:
            head.ready()
        except WorkerGoneError as gone:
            return gone.reason
        return ""

    def _start_again(self, cells: set[str]) -> None:
        for lane in self._lanes:
            for cell in cells:
                lane.failures.pop(cell, None)
        fault = self._start()
        if fault:
            self._lanes[1].failures.update(dict.fromkeys(cells, ("crashed", fault)))

    def _describe(self, spec: Spec, fault: str) -> tuple[tuple[SideResult, SideResult], str]:
        base, head = self._lanes
        device, ours = base.environment(spec.device, spec.threads)
        theirs = ours if fault else head.environment(device, spec.threads)[1]
        roots = [lane.subject.benchmark for lane in self._lanes]
        keys = {root: benchmark_key(root) or "" for root in dict.fromkeys(roots)}
        sides = SideResult(ours, keys[roots[0]]), SideResult(theirs, keys[roots[1]])
        return sides, device

    def _measure(self, stage: int, cells: set[str]) -> None:
        for unit in self._units:
            chosen = [c for c in unit.command["cells"] if c["cell_id"] in cells]
            part = replace(unit, command={**unit.command, "cells": chosen})
            for lane in self._lanes:
                lane.open(part)
        cells = cells - self._left_out(cells)
        duel = Duel(self._lanes, seed_for(self._spec.seed, "gate", stage))
        session = secrets.token_hex(6)

        def undecided() -> set[str]:
            now = zip(self._sides, self._records(cells, session, duel), strict=True)
            base, head = (self._measured(side, records) for side, records in now)
            found = self._rules.judge(base, head)
            left = {j.comparison.cell_id for j in found if j.verdict is Verdict.AMBIGUOUS}
            self._say(f"{len(cells) - len(left)} of {len(cells)} cells are clear")
            return left

        duel.run(sorted(cells), self._rules.looks, undecided)
        self._keep(cells, session, duel)

    def _left_out(self, cells: set[str]) -> set[str]:
        """What of a model of the user's no method of either side can measure; says so."""
        if self._rules.every_method or not self._own:
            return set()
        base, head = (lane.failures for lane in self._lanes)
        found = inapplicable(cells, base, head)
        variants = {
            c["cell_id"]: c["variant"] for unit in self._units for c in unit.command["cells"]
        }
        reasons = {(variants[cell], head[cell][1]) for cell in found}
        for variant, reason in sorted(reasons):
            self._say(f"left out: {variant} does not apply ({reason})")
        return found

    def _keep(self, cells: set[str], session: str, duel: Duel) -> None:
        for side, records in zip(self._sides, self._records(cells, session, duel), strict=True):
            side.records += records

    def _records(self, cells: set[str], session: str, duel: Duel) -> list[list[CellRecord]]:
        return [
            [
                record_of(unit, cell, session, lane.failures, samples.get(cell["cell_id"], []))
                for unit in self._units
                for cell in unit.command["cells"]
                if cell["cell_id"] in cells
            ]
            for lane, samples in zip(self._lanes, duel.samples, strict=True)
        ]

    def _final(self) -> tuple[Measured, Measured]:
        base, head = (self._measured(side, side.records) for side in self._sides)
        return base, head

    def _judge(self) -> list[Judgement]:
        base, head = ({**s.environment, "benchmark_code": s.benchmark} for s in self._sides)
        common = base.keys() & head.keys()
        known = [{name: facts[name] for name in common} for facts in (base, head)]
        return explained(self._rules.judge(*self._final()), facts_differences(*known))

    def _measured(self, side: SideResult, records: list[CellRecord]) -> Measured:
        # Of the same machine; a fact that only one of two revisions describes tells nothing.
        common = set(self._sides[0].environment) & set(self._sides[1].environment)
        key = comparable_key({name: side.environment[name] for name in common})
        return measured(records, key, side.benchmark)

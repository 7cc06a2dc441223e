"""What ``teleport-bench gate`` does once its options are read."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.cli.command import command
from bench.cli.judging.verdicts import min_effects, show
from bench.comparison.history import append, entry_of
from bench.comparison.outcome import Outcome
from bench.gate.files import write_exports, write_sides, write_summary
from bench.gate.gate import Rules, gate_units, run_gate
from bench.gate.worktree import trees
from bench.machine.comparable import comparable_key
from bench.plan.points import Plan
from bench.process.local import WorkerProcess


@dataclass(frozen=True)
class Asked:
    """The options of a gate, but for what is measured."""

    base: str
    out: Path
    strict: bool
    default: float
    calibration: Path | None
    history: Path | None


def describe(revision: str, plan: Plan) -> str:
    """The plan in words; the revision is checked out and removed, so that it is known to work."""
    with trees(revision, Path.cwd()) as both:
        base, head = both.names
    cells = [cell for unit in gate_units(plan) for cell in unit.command["cells"]]
    names = sorted({cell["variant"] for cell in cells})
    return "\n".join([f"head {head} against base {base}: {len(cells)} cells of", *names])


def carry_out(asked: Asked, plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Measure both trees, write every file and print the table."""
    when = time.time()

    def rules_for(environment: str, benchmark: str) -> Rules:
        return Rules(asked.default, min_effects(asked.calibration, environment, benchmark))

    with trees(asked.base, Path.cwd()) as both:
        say(f"head {both.names[1]} against base {both.names[0]}")
        result = run_gate((both.base, both.head), plan.spec, rules_for, WorkerProcess, say)
    base, head = both.names
    outcome = Outcome(
        base=base,
        head=head,
        judgements=result.judgements,
        strict=asked.strict,
        environment=comparable_key(result.sides[1].environment),
        benchmark=result.sides[1].benchmark,
        command=command(),
        when=when,
    )
    write_sides(asked.out, result, command())
    write_exports(asked.out, outcome, *result.measured)
    finish(outcome, asked.history)
    say(f"written to {asked.out}")
    return outcome


def finish(outcome: Outcome, history: Path | None) -> Outcome:
    """Add it to GitHub's summary and to the history, and print the table."""
    write_summary(outcome)
    if history is not None:
        append(history, entry_of(outcome))
    show(outcome)
    return outcome

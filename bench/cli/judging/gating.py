"""What ``teleport-bench gate`` does once its options are read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.cli.judging.finished import Pair, compare_finished
from bench.cli.judging.verdicts import min_effects, show
from bench.comparison.history import append, entry_of
from bench.comparison.outcome import Outcome
from bench.gate.files import write_exports, write_sides, write_summary
from bench.gate.gate import GateResult, Rules, gate_units, run_gate
from bench.gate.worktree import Trees, trees
from bench.machine.comparable import comparable_key
from bench.plan.points import Plan
from bench.process.local import WorkerProcess


@dataclass(frozen=True)
class Asked:
    """The options of a gate."""

    base: str
    plan: Plan
    out: Path
    strict: bool
    default: float
    calibration: Path | None
    history: Path | None
    command: str
    when: float


def describe(asked: Asked) -> str:
    """The plan in words; the revision is checked out and removed, so that it is known to work."""
    with trees(asked.base, Path.cwd()) as both:
        base, head = both.names
    cells = [cell for unit in gate_units(asked.plan) for cell in unit.command["cells"]]
    names = sorted({cell["variant"] for cell in cells})
    return "\n".join([f"head {head} against base {base}: {len(cells)} cells of", *names])


def carry_out(asked: Asked, say: Callable[[str], None]) -> Outcome:
    """Measure both trees, write every file and print the table."""

    def rules_for(environment: str, benchmark: str) -> Rules:
        return Rules(asked.default, min_effects(asked.calibration, environment, benchmark))

    with trees(asked.base, Path.cwd()) as both:
        say(f"head {both.names[1]} against base {both.names[0]}")
        result = run_gate((both.base, both.head), asked.plan.spec, rules_for, WorkerProcess, say)
    outcome = _outcome(asked, both, result)
    write_sides(asked.out, result, asked.command)
    write_exports(asked.out, outcome, *result.measured)
    write_summary(outcome)
    if asked.history is not None:
        append(asked.history, entry_of(outcome))
    show(outcome)
    say(f"written to {asked.out}")
    return outcome


def carry_out_finished(pair: Pair, out: Path, history: Path | None) -> Outcome:
    """The same for two measurements that are over."""
    outcome = compare_finished(pair, out)
    write_summary(outcome)
    if history is not None:
        append(history, entry_of(outcome))
    show(outcome)
    return outcome


def _outcome(asked: Asked, both: Trees, result: GateResult) -> Outcome:
    base, head = both.names
    return Outcome(
        base=base,
        head=head,
        judgements=result.judgements,
        strict=asked.strict,
        environment=comparable_key(result.sides[1].environment),
        benchmark=result.sides[1].benchmark,
        command=asked.command,
        when=asked.when,
    )

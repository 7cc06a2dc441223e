"""What ``teleport-bench gate`` does once its options are read."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.cli.command import command
from bench.cli.judging.verdicts import min_effects, show
from bench.comparison.history import append, entry_of
from bench.comparison.outcome import Outcome
from bench.gate.cells import gate_units
from bench.gate.files import write_exports, write_sides, write_summary
from bench.gate.gate import Rules, run_gate
from bench.gate.own_model import OwnModel, own_model
from bench.gate.store import Store
from bench.gate.subject import Subject, launched
from bench.gate.worktree import is_ours, top, trees
from bench.machine.comparable import comparable_key
from bench.plan.points import Plan


@dataclass(frozen=True)
class Asked:
    """The options of a gate, but for what is measured."""

    base: str
    out: Path
    strict: bool
    default: float
    calibration: Path | None
    history: Path | None
    own: OwnModel | None = None  # of the user's repository; None on source trees of this project
    store: Store | None = None  # where baselines are kept

    def rules(self, environment: str, benchmark: str) -> Rules:
        """When a difference matters, on a machine and by measuring code."""
        return Rules(self.default, min_effects(self.calibration, environment, benchmark))

    def subject(self, tree: Path) -> Subject:
        """What is measured in a source tree."""
        return self.own.subject(tree) if self.own else Subject(tree, tree)


def own_here(model: str | None) -> OwnModel | None:
    """The factory in the user's repository that is gated; None where that is this project's.

    Raises:
        SpecError: no repository, or no such factory in it.
    """
    if model is None or ":" not in model:
        return None
    root = top(Path.cwd())
    return None if is_ours(root) else own_model(model, root, Path.cwd())


def describe(asked: Asked, plan: Plan) -> str:
    """The plan in words; the revision is checked out and removed, so that it is known to work."""
    with trees(asked.base, Path.cwd(), own=asked.own is not None) as both:
        base, head = both.names
    units = gate_units(plan, own=asked.own is not None)
    cells = [cell for unit in units for cell in unit.command["cells"]]
    names = sorted({cell["variant"] for cell in cells})
    return "\n".join([f"head {head} against base {base}: {len(cells)} cells of", *names])


def carry_out(asked: Asked, plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Measure both trees, write every file and print the table."""
    when = time.time()
    with trees(asked.base, Path.cwd(), own=asked.own is not None) as both:
        say(f"head {both.names[1]} against base {both.names[0]}")
        subjects = asked.subject(both.base), asked.subject(both.head)
        result = run_gate(subjects, plan.spec, asked.rules, launched, say)
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


def finish(outcome: Outcome, *histories: Path | None) -> Outcome:
    """Add it to GitHub's summary and to the histories, and print the table."""
    write_summary(outcome)
    for history in histories:
        if history is not None:
            append(history, entry_of(outcome))
    show(outcome)
    return outcome

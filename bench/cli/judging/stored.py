"""What ``teleport-bench gate --store`` does: head is measured, base is what was kept of it."""

import time
from pathlib import Path

from bench.cli.command import command
from bench.cli.judging.gating import Asked, finish
from bench.comparison.differences import explained
from bench.comparison.outcome import Outcome
from bench.comparison.sources import Source, incomparable, read_source, source_differences
from bench.gate.alone import judge_kept, run_alone
from bench.gate.files import write_exports, write_side
from bench.gate.gate import Say
from bench.gate.store import Store
from bench.gate.subject import launched
from bench.gate.worktree import ABBREVIATED, resolve, working_tree
from bench.machine.comparable import comparable_key
from bench.plan.points import Plan


def carry_out(asked: Asked, store: Store, plan: Plan, say: Say) -> Outcome:
    """Measure the working tree, judge it by what is kept of base, and keep it if it is a commit."""
    when = time.time()
    here = working_tree(Path.cwd(), own=asked.own is not None)
    base = resolve(asked.base, here.path)
    spec, side = run_alone(asked.subject(here.path), plan.spec, launched, say)
    write_side(asked.out / "head", spec, side, command())
    head = read_source(asked.out / "head")
    kept = store.baseline(comparable_key(side.environment), base)
    baseline = None if kept is None else read_source(kept)
    outcome = _judged(asked, baseline, head, (base, here.name), when, say)
    write_exports(asked.out, outcome, baseline.measured if baseline else {}, head.measured)
    finish(outcome, asked.history, store.history)
    if here.kept:
        say(f"kept in {store.keep(asked.out / 'head', head.environment, here.commit)}")
    else:
        say("not kept: the working tree is no commit, as files in it were changed")
    return outcome


def _judged(
    asked: Asked, base: Source | None, head: Source, names: tuple[str, str], when: float, say: Say
) -> Outcome:
    commit = names[0][:ABBREVIATED]
    lacking = f"the store holds nothing of {commit}: gate that commit, too, to keep it"
    measured, differences = {}, []
    if base is not None:
        lacking = f"what is kept of {commit} has no such cell"
        measured, differences = base.measured, incomparable(base, head)
        for difference in source_differences(base, head):
            say(f"from what is kept of {commit}: {difference}")
    rules = asked.rules(head.environment, head.benchmark)
    own = asked.own is not None
    judgements, left_out = judge_kept(measured, head.measured, rules, lacking, own=own)
    for label, reason in sorted(left_out.items()):
        say(f"left out: {label} does not apply ({reason})")
    return Outcome(
        base=commit,
        head=names[1],
        judgements=explained(judgements, differences),
        strict=asked.strict,
        environment=head.environment,
        benchmark=head.benchmark,
        command=command(),
        when=when,
    )

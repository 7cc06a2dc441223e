"""Carry out a spec on all devices of a host, in a directory that others may work in, too."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.leases.leases import Leases, beating
from bench.leases.owner import Owner
from bench.parallel.begin import Workers, environment_of, planned
from bench.parallel.followed import Followed
from bench.parallel.handout import Handout, Kept, LostLeaseError
from bench.parallel.lane import Lane, Lanes, StoppedLaneError
from bench.parallel.noise import Noise, flags, measure
from bench.parallel.order import expected_seconds, longest_first
from bench.plan.points import Plan
from bench.plan.profiles import Detail
from bench.plan.shards import WHOLE, Shard
from bench.plan.units import Unit
from bench.process.worker import WorkerGoneError
from bench.runner.progress import Progress
from bench.runner.runner import Summary
from bench.runner.session import NOBODY, Lacking, Listener, lacking_of, summary_of
from bench.spec.spec import Spec
from bench.storage.journal import Journal, load, name_of
from bench.storage.lock import check_free
from bench.storage.run_directory import (
    RunDirectory,
    check_environment,
    check_spec,
    open_run,
    with_model,
    write_environment,
)
from bench.storage.sessions import dated_apart


def carry_out_together(
    spec: Spec,
    directory: Path,
    workers: Workers,
    *,
    command: str,
    progress: Progress,
    part: Shard = WHOLE,
    profile: Detail | None = None,
    listener: Listener = NOBODY,
) -> Summary:
    """Measure everything of a spec that its run directory does not hold yet, and no other runner.

    Returns when all of it is there, whoever measured it, or the budget is spent.

    Raises:
        SpecError: fewer devices than workers need.
        RunError: as ``carry_out`` of one worker, or devices of two kinds.
        JournalError: the run there is damaged, of another spec or from another machine.
    """
    lacking = lacking_of(directory, part, profile)
    plan, found = planned(spec, workers, part, lacking, listener)
    with Lanes(found, workers.launch, workers.silence) as lanes:
        environment = with_model(environment_of(plan.spec, lanes), spec)
        environment |= lanes.every[0].ask(lambda lane: lane.runner.roofline(plan.spec)).result()
        run = _entered(directory, plan.spec, command, environment)
        owner = Owner.here()
        leases = Leases(directory, owner, workers.expiry)
        units = _left(run, plan, lacking, leases, listener)
        with beating(leases, workers.beat):
            noises = lanes.each(lambda lane: measure(plan.spec, lane.runner))
            facts = _flagged(lanes, noises, listener)
            ordered = longest_first(units, expected_seconds(plan.spec, units, lanes, noises))
            handout = Handout(ordered, leases, Followed(directory), progress, spec.budget)
            journal = Journal(run.path / name_of(owner.name))
            with dated_apart(run, owner.name, environment, facts), journal:
                _hand_out(handout, lanes, journal, leases)
    return replace(summary_of(plan, load(run.journal)[0]), left=handout.left)


def _entered(
    directory: Path, spec: Spec, command: str, environment: dict[str, Any]
) -> RunDirectory:
    """The run directory, which other runners may enter at the same moment: the first one's counts.

    Raises:
        RunError: one is at work there alone, or nothing can be written.
        JournalError: the run there is of another spec or from another machine.
    """
    check_free(directory)
    run = open_run(directory, spec, command, resume=True, shared=True)
    with Journal(run.journal):  # makes it a run
        pass
    check_spec(run, spec, resume=True)
    if not run.environment.exists():
        write_environment(run, environment)
    check_environment(run, environment, measured=True)
    return run


def _left(
    run: RunDirectory, plan: Plan, lacking: Lacking, leases: Leases, listener: Listener
) -> list[Unit]:
    """What is not finished; of a unit that is, a runner that was killed may have left the lease."""
    records, notes = load(run.journal)
    for text in notes:
        listener.say(text)
    missing = {unit.unit for unit in lacking(plan, records)}
    every = lacking(plan, [])
    return [unit for unit in every if unit.unit in missing or leases.exists(unit.unit)]


def _flagged(lanes: Lanes, noises: Sequence[Noise], listener: Listener) -> dict[str, Any]:
    """Have every cell of a device say what is wrong with it; what a session says of all."""
    facts = {}
    for lane, noise, own in zip(lanes.every, noises, flags(noises), strict=True):
        lane.flags = [f"{lane.device.name}: {text}" for text in own]
        for text in lane.flags:
            listener.say(f"flagged: {text}")
        facts[lane.device.name] = noise.facts(lane.flags)
    return {"devices": facts}


def _hand_out(handout: Handout, lanes: Lanes, journal: Journal, leases: Leases) -> None:
    """Have every worker do what is next, until nothing is left."""
    lock = threading.Lock()

    def work(lane: Lane) -> None:
        while (unit := handout.next(lane.device)) is not None:
            kept = Kept(journal, lock, lane.flags, partial(leases.holds, unit.unit))
            try:
                lane.runner.carry_out(unit, kept, partial(handout.spares, unit))
            except (LostLeaseError, StoppedLaneError, WorkerGoneError):
                lane.runner.abort()
                handout.give_back(unit)
            else:
                handout.finish(unit)

    with handout:
        lanes.each(work, handout.stop)

"""Carry out a spec on all devices of a host, in a directory that others may work in, too."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from bench.errors import RunError, SpecError
from bench.leases.leases import BEAT_SECONDS, EXPIRY_SECONDS, Leases, beating
from bench.leases.owner import Owner
from bench.parallel.devices import Device, devices
from bench.parallel.followed import Followed
from bench.parallel.handout import Handout, Kept, LostLeaseError
from bench.parallel.lane import Lane, Lanes, Launch, StoppedLaneError
from bench.parallel.noise import Noise, flags, measure
from bench.parallel.order import block_seconds, longest_first
from bench.plan.points import Plan, make_plan
from bench.plan.profiles import Detail
from bench.plan.shards import WHOLE, Shard, share
from bench.plan.units import Unit
from bench.process.local import WorkerProcess
from bench.process.worker import WorkerGoneError
from bench.runner.progress import Progress, QuietProgress
from bench.runner.runner import SILENCE_SECONDS, Runner, Summary
from bench.runner.session import NOBODY, Lacking, Listener, lacking_of, summary_of
from bench.spec.spec import Spec
from bench.storage.journal import Journal, load, name_of
from bench.storage.lock import check_free
from bench.storage.mismatch import environment_differences
from bench.storage.run_directory import (
    RunDirectory,
    check_environment,
    check_place,
    check_spec,
    open_run,
    with_model,
    write_environment,
)
from bench.storage.sessions import dated_apart


@dataclass(frozen=True)
class Workers:
    """How many, and how they are talked with."""

    count: int | None = None  # None: one on every device
    launch: Launch = WorkerProcess
    silence: float = SILENCE_SECONDS  # seconds after which one is replaced
    beat: float = BEAT_SECONDS  # between two signs of life to other runners
    expiry: float = EXPIRY_SECONDS  # without one from another runner, its work is taken over


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
    plan, found = _planned(spec, workers, part, lacking, listener)
    with Lanes(found, workers.launch, workers.silence) as lanes:
        environment = with_model(_environment(plan.spec, lanes), spec)
        environment |= lanes.every[0].ask(lambda lane: lane.runner.roofline(plan.spec)).result()
        run = _entered(directory, plan.spec, command, environment)
        records, notes = load(run.journal)
        for text in notes:
            listener.say(text)
        owner = Owner.here()
        leases = Leases(directory, owner, workers.expiry)
        missing = {unit.unit for unit in lacking(plan, records)}
        # One that was killed may have left the lease of a unit that it had finished.
        every = lacking(plan, [])
        units = [unit for unit in every if unit.unit in missing or leases.exists(unit.unit)]
        with beating(leases, workers.beat):
            noises = lanes.each(lambda lane: measure(plan.spec, lane.runner))
            _flag(lanes, noises, listener)
            ordered = longest_first(units, _seconds(plan.spec, units, lanes, noises))
            handout = Handout(ordered, leases, Followed(directory), progress, spec.budget)
            facts = {"devices": _facts(lanes, noises)}
            with (
                dated_apart(run, owner.name, environment, facts),
                Journal(run.path / name_of(owner.name)) as journal,
            ):
                _hand_out(handout, lanes, journal, leases)
    return replace(summary_of(plan, load(run.journal)[0]), left=handout.left)


def rehearse_together(
    spec: Spec,
    directory: Path,
    workers: Workers,
    *,
    part: Shard = WHOLE,
    profile: Detail | None = None,
) -> tuple[list[Device], float | None]:
    """What it would run on here, and seconds for what is trained; nothing is measured or written.

    Raises:
        BenchError: what would refuse it.
    """
    lacking = lacking_of(directory, part, profile)
    plan, found = _planned(spec, workers, part, lacking, NOBODY)
    run = RunDirectory(directory)
    check_place(directory)
    check_spec(run, plan.spec, resume=True)
    with Lanes(found[:1], workers.launch, workers.silence) as lanes:
        environment = with_model(_environment(plan.spec, lanes), spec)
        check_environment(run, environment, measured=run.environment.exists())
        trained = [unit for unit in lacking(plan, []) if unit.kind]
        seconds = lanes.every[0].ask(lambda lane: lane.runner.estimate(trained)).result()
    return found, seconds and seconds / len(found)


def _planned(
    spec: Spec, workers: Workers, part: Shard, lacking: Lacking, listener: Listener
) -> tuple[Plan, list[Device]]:
    """The plan and the devices, from a worker that sees all of them; what cannot be is refused."""
    runner = Runner(QuietProgress(), workers.launch, workers.silence)
    try:
        device, environment = runner.environment(spec.device, spec.threads)
        plan = share(make_plan(spec.with_overrides(device=device)), part)
        listener.planned(plan)
        found = devices(workers.count, device, spec.threads, environment)
        units = lacking(plan, [])
        _check_alone(found, units)
        runner.check(plan.spec, units)
    except BaseException:
        runner.abort()
        raise
    runner.close()
    listener.say(f"workers on {', '.join(each.name for each in found)}")
    return plan, found


def _check_alone(found: Sequence[Device], units: Sequence[Unit]) -> None:
    """Refuse two workers on a device where blocks are timed."""
    alone = sum(not each.shared for each in found)
    if alone < len(found) and any(unit.is_block for unit in units):
        raise SpecError(
            f"expected a device for every worker, since blocks are timed alone; got {alone} for "
            f"{len(found)} workers: write --workers {alone}"
        )


def _environment(spec: Spec, lanes: Lanes) -> dict[str, Any]:
    """What all of them run on.

    Raises:
        RunError: devices whose times may not stand beside each other.
    """
    found = lanes.each(lambda lane: lane.runner.environment(spec.device, spec.threads)[1])
    for lane, environment in zip(lanes.every, found, strict=True):
        if differing := environment_differences(found[0], environment):
            raise RunError(
                f"expected devices of one kind; between {lanes.every[0].device.name} and "
                f"{lane.device.name} {'; '.join(differing)}: name those of one kind in "
                "CUDA_VISIBLE_DEVICES, and run the others into another --out"
            )
    return found[0]


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


def _flag(lanes: Lanes, noises: Sequence[Noise], listener: Listener) -> None:
    """Have every cell of a device say what is wrong with it."""
    for lane, own in zip(lanes.every, flags(noises), strict=True):
        lane.flags = [f"{lane.device.name}: {text}" for text in own]
        for text in lane.flags:
            listener.say(f"flagged: {text}")


def _facts(lanes: Lanes, noises: Sequence[Noise]) -> dict[str, Any]:
    """Device -> what A/A found there; of workers that share one, the last's."""
    both = zip(lanes.every, noises, strict=True)
    return {lane.device.name: noise.facts(lane.flags) for lane, noise in both}


def _seconds(
    spec: Spec, units: Sequence[Unit], lanes: Lanes, noises: Sequence[Noise]
) -> dict[str, float]:
    """About how long each unit takes: a block by A/A, the others by trying each kind of them."""
    known = [median(noise.seconds) for noise in noises if not noise.failure]
    sgd = min(known, default=0.0)
    kinds: dict[str, list[Unit]] = {}
    for unit in units:
        if unit.kind:
            kinds.setdefault(unit.kind, []).append(unit)
    found: dict[str, float | None] = {}
    if len(kinds) > 1:  # of one kind all take as long
        asked = {
            kind: lane.ask(partial(_estimate, own))
            for (kind, own), lane in zip(kinds.items(), cycle(lanes.every), strict=False)
        }
        found = {kind: future.result() for kind, future in asked.items()}
    return {
        unit.unit: block_seconds(unit, spec.base, sgd)
        if unit.is_block
        else (found.get(unit.kind) or 1.0)
        for unit in units
    }


def _estimate(units: list[Unit], lane: Lane) -> float | None:
    """Seconds for one of several units of a kind."""
    return lane.runner.estimate(units[:1])


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

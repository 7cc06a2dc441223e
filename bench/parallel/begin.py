"""Before several workers begin: on what, and whether they may."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import RunError, SpecError
from bench.leases.leases import BEAT_SECONDS, EXPIRY_SECONDS
from bench.parallel.devices import Device, devices
from bench.parallel.lane import Lanes, Launch
from bench.plan.points import Plan, make_plan
from bench.plan.profiles import Detail
from bench.plan.shards import WHOLE, Shard, share
from bench.plan.units import Unit
from bench.process.local import WorkerProcess
from bench.runner.progress import QuietProgress
from bench.runner.runner import SILENCE_SECONDS, Runner
from bench.runner.session import NOBODY, Lacking, Listener, lacking_of
from bench.spec.spec import Spec
from bench.storage.mismatch import environment_differences
from bench.storage.run_directory import (
    RunDirectory,
    check_environment,
    check_place,
    check_spec,
    with_model,
)


@dataclass(frozen=True)
class Workers:
    """How many, and how they are talked with."""

    count: int | None = None  # None: one on every device
    launch: Launch = WorkerProcess
    silence: float = SILENCE_SECONDS  # seconds after which one is replaced
    beat: float = BEAT_SECONDS  # between two signs of life to other runners
    expiry: float = EXPIRY_SECONDS  # without one from another runner, its work is taken over


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
    plan, found = planned(spec, workers, part, lacking, NOBODY)
    run = RunDirectory(directory)
    check_place(directory)
    check_spec(run, plan.spec, resume=True)
    with Lanes(found[:1], workers.launch, workers.silence) as lanes:
        environment = with_model(environment_of(plan.spec, lanes), spec)
        check_environment(run, environment, measured=run.environment.exists())
        trained = [unit for unit in lacking(plan, []) if unit.kind]
        seconds = lanes.every[0].ask(lambda lane: lane.runner.estimate(trained)).result()
    return found, seconds and seconds / len(found)


def planned(
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


def environment_of(spec: Spec, lanes: Lanes) -> dict[str, Any]:
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

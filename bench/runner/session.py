"""Carry out a spec: ask where it runs, plan, check, and measure what its directory lacks."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import RunError
from bench.leases.leases import others
from bench.measurements.units import make_units
from bench.plan.points import Plan, make_plan
from bench.plan.profiles import Detail, base_blocks, profile_units
from bench.plan.shards import WHOLE, Shard, share
from bench.plan.units import Unit
from bench.runner.runner import Runner, Summary
from bench.spec.spec import Spec
from bench.storage.journal import Journal, load
from bench.storage.lock import locked
from bench.storage.records import CellRecord, Record, ReferenceRecord
from bench.storage.run_directory import (
    RunDirectory,
    check_environment,
    check_place,
    check_spec,
    open_run,
    with_model,
)
from bench.storage.sessions import dated

# What of a plan is still to be done, given the records that are there.
Lacking = Callable[[Plan, list[Record]], list[Unit]]


def _ignore(_what: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Listener:
    """Who wants to know what."""

    planned: Callable[[Plan], None] = _ignore  # given the plan once the device is known
    say: Callable[[str], None] = _ignore  # told what became of an earlier session there


NOBODY = Listener()


def carry_out(
    spec: Spec,
    directory: Path,
    runner: Runner,
    *,
    command: str,
    part: Shard = WHOLE,
    resume: bool = False,
    profile: Detail | None = None,
    listener: Listener = NOBODY,
) -> Summary:
    """Measure everything of a spec that its run directory does not hold yet.

    The directory is made if it is not there, and the runner's worker is ended however this ends.
    ``command`` repeats the run, for its spec.toml; ``profile`` profiles the base point, too.

    Raises:
        RunError: no worker starts, the spec cannot be run here, or the directory cannot be
            written, is in use, or holds a run and ``resume`` is off.
        JournalError: the run there is damaged, of another spec or from another machine.
    """
    lacking = lacking_of(directory, part, profile)
    return _carry_out(
        spec, spec.budget, directory, runner, lacking, command, part, listener, resume=resume
    )


def rehearse(
    spec: Spec,
    directory: Path,
    runner: Runner,
    *,
    part: Shard = WHOLE,
    resume: bool = False,
    profile: Detail | None = None,
) -> Plan:
    """The plan of what ``carry_out`` would do here; nothing is measured or written.

    Raises:
        BenchError: what would refuse it, but for another process at work in the directory.
    """
    plan, environment = _planned(spec, runner, part)
    lacking = lacking_of(directory, part, profile)(plan, [])
    if not resume:
        runner.check(plan.spec, lacking)
    run = RunDirectory(directory)
    check_place(directory)
    check_spec(run, plan.spec, resume=resume)
    measured = run.journal.exists() and bool(load(run.journal)[0])
    check_environment(run, environment, measured=measured)
    return plan


def lacking_of(directory: Path, part: Shard, profile: Detail | None) -> Lacking:
    """What a run lacks, with the profiles of the base point where they are asked for."""

    def lacking(plan: Plan, records: list[Record]) -> list[Unit]:
        units = make_units(plan, records, part)
        if profile is not None and part.index == 1:
            base = base_blocks(make_plan(plan.spec))
            units += profile_units(plan, base, directory, profile, records)
        return units

    return lacking


def _planned(spec: Spec, runner: Runner, part: Shard) -> tuple[Plan, dict[str, Any]]:
    """The plan once the device is known, and what it would run on."""
    device, environment = runner.environment(spec.device, spec.threads)
    plan = share(make_plan(spec.with_overrides(device=device)), part)
    return plan, with_model(environment, spec)


def carry_out_profiles(
    spec: Spec, directory: Path, runner: Runner, detail: Detail, *, command: str
) -> Summary:
    """Profile every cell of a spec into a new run directory, and time nothing.

    Raises:
        RunError: as ``carry_out``.
        SpecError: too many cells for one profile.
    """
    if RunDirectory(directory).journal.exists():
        raise RunError(
            f"expected an empty --out; {directory} holds a run: choose another directory, or "
            "profile that run's base point with 'run --resume --profile'"
        )

    def lacking(plan: Plan, records: list[Record]) -> list[Unit]:
        return profile_units(plan, plan.blocks, directory, detail, records)

    return _carry_out(spec, None, directory, runner, lacking, command)


def _carry_out(
    spec: Spec,
    budget: float | None,
    directory: Path,
    runner: Runner,
    lacking: Lacking,
    command: str,
    part: Shard = WHOLE,
    listener: Listener = NOBODY,
    *,
    resume: bool = False,
) -> Summary:
    """From the worker's first word to its end."""
    try:
        plan, environment = _planned(spec, runner, part)
        listener.planned(plan)
        if not resume:
            runner.check(plan.spec, lacking(plan, []))
        with locked(directory) as note:
            _check_alone(directory)
            run = open_run(directory, plan.spec, command, resume=resume)
            records, notes = load(run.journal) if run.journal.exists() else ([], [])
            for text in filter(None, [note, *notes]):
                listener.say(text)
            check_environment(run, environment, measured=bool(records))
            environment |= runner.roofline(plan.spec)
            with (
                dated(run, environment, measured=bool(records)),
                Journal(run.journal) as journal,
            ):
                summary = runner.run(lacking(plan, records), journal, budget)
    except BaseException:
        runner.abort()
        raise
    runner.close()
    summary.failed_before = sum(record.status != "ok" for record in records)
    return summary


def _check_alone(directory: Path) -> None:
    """Refuse a directory in which several runners are at work."""
    if found := others(directory):
        raise RunError(
            f"expected {directory} to be free; {', '.join(found)} shares it with others: add "
            "--workers 1 to take part"
        )


def summary_of(plan: Plan, records: list[Record]) -> Summary:
    """What a journal holds of a plan, whoever measured it in however many sessions."""
    kept = {
        record.cell_id if isinstance(record, CellRecord) else number: record
        for number, record in enumerate(records)
        if not isinstance(record, ReferenceRecord)
    }
    cells = [record for record in kept.values() if isinstance(record, CellRecord)]
    return Summary(
        statuses=Counter(record.status for record in kept.values()),
        left=len(make_units(plan, records)),
        flagged=sum(bool(cell.flags) for cell in cells),
    )

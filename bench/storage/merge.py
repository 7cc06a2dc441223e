"""Join the parts of a sweep that were run apart: same spec, same environment, every cell once."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import JournalError, RunError
from bench.files import write_whole
from bench.spec.spec import Spec
from bench.storage.journal import lines, load
from bench.storage.lock import locked
from bench.storage.mismatch import (
    environment_differences,
    model_differences,
    spec_differences,
)
from bench.storage.records import Line
from bench.storage.run_directory import (
    RunDirectory,
    read_environment,
    read_spec,
    write_environment,
)
from bench.storage.sessions import SESSIONS, all_sessions


class Part(NamedTuple):
    """One run directory that was read."""

    run: RunDirectory
    spec: Spec
    environment: dict[str, Any]
    lines: list[Line]


def merge_runs(directories: Sequence[Path], out: Path, command: str) -> tuple[RunDirectory, int]:
    """Write the records of several run directories into a new one; it, and how many cells it holds.

    Raises:
        JournalError: parts of different specs or environments, a cell that two of them hold, a
            part that is damaged or still holds a torn line.
        RunError: ``out`` holds a run, is in use or cannot be written.
    """
    different = {directory.resolve(): directory for directory in directories}
    parts = [_read(RunDirectory(directory)) for directory in different.values()]
    if not parts:
        raise JournalError("expected at least one run directory to merge; got none")
    _check_same(parts)
    merged = [line for part in parts for line in part.lines]
    _check_once(parts)
    target = RunDirectory(out)
    with locked(out):
        if target.journal.exists():
            raise RunError(f"expected an empty --out; {out} holds a run: choose another directory")
        write_whole(target.spec, parts[0].spec.to_toml(command))
        sessions = [session for part in parts for session in all_sessions(part.run)]
        write_environment(target, {**parts[0].environment, SESSIONS: sessions})
        # The journal makes it a run, so it comes last.
        write_whole(target.journal, "".join(f"{json.dumps(line)}\n" for line in merged))
    return target, sum(line["kind"] == "cell" for line in merged)


def _read(run: RunDirectory) -> Part:
    # What nothing here knows is kept, and what is known is checked.
    load(run.journal)
    found, notes = lines(run.journal)
    if notes:
        raise JournalError(
            f"expected a whole journal in {run.path}; {notes[0]}: do that before it is merged"
        )
    return Part(run, read_spec(run), read_environment(run), found)


def _check_same(parts: Sequence[Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        if part.spec.digest() != first.spec.digest():
            raise JournalError(
                f"expected parts of one sweep; between {first.run.path} and {part.run.path} "
                f"{'; '.join(spec_differences(first.spec, part.spec))}: merge what one command "
                "line with --shard 1/N ... N/N has made"
            )
        both = f"between {first.run.path} and {part.run.path}"
        if changed := model_differences(first.environment, part.environment):
            raise JournalError(
                f"expected parts that measured one model; {both} {'; '.join(changed)}: measure "
                "one of them again"
            )
        if differing := environment_differences(first.environment, part.environment):
            raise JournalError(
                f"expected parts from one kind of machine and software; {both} "
                f"{'; '.join(differing)}: times of both must not stand in one table"
            )


def _check_once(parts: Iterable[Part]) -> None:
    """Every cell, and every unit beside the clock, in one part only."""
    owner: dict[str, Path] = {}
    for part in parts:
        own = {str(line.get("unit", line.get("cell_id"))) for line in part.lines}
        for name in sorted(own):
            other = owner.setdefault(name, part.run.path)
            if other != part.run.path:
                raise JournalError(
                    f"expected every cell in one part; {name} is in {other} and in "
                    f"{part.run.path}: leave one of them out"
                )

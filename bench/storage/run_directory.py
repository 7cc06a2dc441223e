"""A run directory: what is in it, and whether a run may write into it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import JournalError, RunError, StorageError
from bench.files import read_plain, remove_drafts, write_whole
from bench.machine.model_code import model_facts
from bench.spec.spec import Spec
from bench.storage import journal
from bench.storage.mismatch import (
    environment_differences,
    model_differences,
    spec_differences,
)


@dataclass(frozen=True)
class RunDirectory:
    """Paths of one run."""

    path: Path

    @property
    def journal(self) -> Path:
        """The append-only record of every finished cell."""
        return self.path / journal.NAME

    @property
    def spec(self) -> Path:
        """What repeats the run."""
        return self.path / "spec.toml"

    @property
    def environment(self) -> Path:
        """What it ran on."""
        return self.path / "environment.json"


def open_run(
    path: Path, spec: Spec, command: str, *, resume: bool, shared: bool = False
) -> RunDirectory:
    """Make a run directory, or enter one again with ``resume``; the caller holds its lock.

    ``shared``: nobody does, since others may be at work there; their files are left alone.

    Raises:
        RunError: it cannot be written, or holds a run already and ``resume`` is off.
        JournalError: with ``resume``, the journal there belongs to another spec.
    """
    run = RunDirectory(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        check_spec(run, spec, resume=resume)
        if not shared:
            remove_drafts(path)
        if not (shared and run.spec.exists()):
            write_whole(run.spec, spec.to_toml(command))
    except (OSError, StorageError) as error:
        cause = error.__cause__ if isinstance(error, StorageError) else error
        raise RunError(
            f"expected to write into {path}; {getattr(cause, 'strerror', cause)}: "
            "choose another --out"
        ) from error
    return run


def check_place(path: Path) -> None:
    """Refuse a place that no run could be written into; RunError."""
    first = next(each for each in (path, *path.parents) if each.exists())
    if not first.is_dir() or not os.access(first, os.W_OK | os.X_OK):
        raise RunError(
            f"expected to write into {path}; {first} is no directory that may be written: choose "
            "another --out"
        )


def check_spec(run: RunDirectory, spec: Spec, *, resume: bool) -> None:
    """Refuse a directory whose run is not this one, taken up again.

    Raises:
        RunError: it holds a run and ``resume`` is off.
        JournalError: the run there is of another spec, or nothing tells of which.
    """
    if not run.journal.exists():
        return
    if not resume:
        raise RunError(
            f"expected an empty --out; {run.path} holds a run: add --resume to measure what is "
            "missing, or choose another directory"
        )
    before = read_spec(run)
    if before.digest() != spec.digest():
        raise JournalError(
            f"expected the spec that {run.path} was made with; "
            f"{'; '.join(spec_differences(before, spec))}: repeat the command in "
            f"{run.spec.name}, or choose another --out"
        )


def read_spec(run: RunDirectory) -> Spec:
    """The spec of a run.

    Raises:
        JournalError: it is missing or cannot be read.
        SpecError: it is damaged.
    """
    try:
        text = read_plain(run.spec).decode()
    except FileNotFoundError:
        raise JournalError(
            f"expected {run.spec} beside the journal; it is missing, so nothing tells what the "
            "journal belongs to: choose another --out"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise JournalError(f"expected {run.spec} to be a text file; {error}") from error
    return Spec.from_toml(text)


def read_environment(run: RunDirectory) -> dict[str, Any]:
    """What a run ran on; JournalError: it is missing or damaged."""
    return read_facts(run.environment)


def read_facts(file: Path) -> dict[str, Any]:
    """A file of a run directory that tells what was run on; JournalError: missing or damaged."""
    try:
        content = json.loads(read_plain(file))
    except (OSError, ValueError, RecursionError) as error:
        raise JournalError(
            f"expected {file} to tell what the run ran on; {error}: without it nobody "
            "knows whether its times may be put beside others"
        ) from error
    if not isinstance(content, dict):
        raise JournalError(f"expected {file} to hold an object of names and values")
    return content


def session_files(path: Path) -> list[Path]:
    """What each of several runners that shared a directory ran on, with its session."""
    return sorted(path.glob("environment-*.json"))


def with_model(environment: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """What a run runs on, and which version of the user's own model."""
    return {**environment, **model_facts(spec.model)}


def check_environment(run: RunDirectory, now: dict[str, Any], *, measured: bool) -> None:
    """Refuse to go on with a run on a machine whose times may not stand beside those it holds.

    Raises:
        JournalError: another environment, another version of the user's model, or nothing that
            tells which it was.
    """
    if not measured:
        return
    before = read_environment(run)
    changed = model_differences(before, now)
    if changed:
        raise JournalError(
            f"expected the model that {run.path} was begun with; {'; '.join(changed)}: put it "
            "back, or choose another --out"
        )
    differing = environment_differences(before, now)
    if differing:
        raise JournalError(
            f"expected the machine and software that {run.path} was begun on; "
            f"{'; '.join(differing)}: go on there, or choose another --out"
        )


def write_environment(run: RunDirectory, environment: dict[str, Any]) -> None:
    """Record what the run ran on."""
    write_whole(run.environment, json.dumps(environment, indent=2, sort_keys=True) + "\n")

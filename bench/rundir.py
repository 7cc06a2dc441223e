"""A run directory: what is in it, and whether a run may write into it."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import journal
from bench.errors import JournalError, RunError
from bench.spec import Spec


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


def open_run(path: Path, spec: Spec, command: str, *, resume: bool) -> RunDirectory:
    """Make a run directory, or enter one again with ``resume``.

    Raises:
        RunError: it cannot be written, or holds a run already and ``resume`` is off.
        JournalError: with ``resume``, the journal there belongs to another spec.
    """
    run = RunDirectory(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if run.journal.exists():
            _check_same_spec(run, spec, resume=resume)
        write_whole(run.spec, spec.to_toml(command))
    except OSError as error:
        raise RunError(
            f"expected to write into {path}; {error.strerror}: choose another --out"
        ) from error
    return run


def _check_same_spec(run: RunDirectory, spec: Spec, *, resume: bool) -> None:
    if not resume:
        raise RunError(
            f"expected an empty --out; {run.path} holds a run: add --resume to measure what is "
            "missing, or choose another directory"
        )
    try:
        before = Spec.from_toml(run.spec.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JournalError(
            f"expected {run.spec} beside the journal; it is missing, so nothing tells what the "
            "journal belongs to: choose another --out"
        ) from None
    if before.digest() != spec.digest():
        raise JournalError(
            f"expected the spec that {run.path} was made with (digest {before.digest()}); got "
            f"another one (digest {spec.digest()}): repeat the command in {run.spec.name}, or "
            "choose another --out"
        )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers see the old text or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_environment(run: RunDirectory, environment: dict[str, Any]) -> None:
    """Record what the run ran on."""
    write_whole(run.environment, json.dumps(environment, indent=2, sort_keys=True) + "\n")

"""When, where and for how long a run was measured: a line of environment.json for every session."""

import contextlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from bench.errors import StorageError
from bench.files import write_whole
from bench.storage.run_directory import (
    RunDirectory,
    read_environment,
    read_facts,
    session_files,
    write_environment,
)

SESSIONS = "sessions"


def sessions_of(environment: Mapping[str, Any]) -> list[Any]:
    """The sessions that an environment names: host, begin (UTC), and seconds once it has ended."""
    found = environment.get(SESSIONS)
    return found if isinstance(found, list) else []


def all_sessions(run: RunDirectory) -> list[Any]:
    """The sessions of a run, those of runners that shared its directory among them.

    Raises:
        JournalError: what one of them ran on is missing or damaged.
    """
    files = [run.environment, *session_files(run.path)]
    return [session for file in files for session in sessions_of(read_facts(file))]


@contextlib.contextmanager
def dated(run: RunDirectory, environment: Mapping[str, Any], *, measured: bool) -> Iterator[None]:
    """Write the environment of a session with its date and host, and its duration when it ends.

    ``measured``: whether the run holds records, and so the sessions that they come from.
    """
    earlier = sessions_of(read_environment(run)) if measured else []

    def write(session: dict[str, Any]) -> None:
        write_environment(run, {**environment, SESSIONS: [*earlier, session]})

    with _session(write, {}):
        yield


@contextlib.contextmanager
def dated_apart(
    run: RunDirectory, owner: str, environment: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[None]:
    """The same for one of several runners in a directory: its session has a file of its own.

    ``facts`` are of the session.
    """
    file = run.path / f"{run.environment.stem}-{owner}{run.environment.suffix}"

    def write(session: dict[str, Any]) -> None:
        whole = {**environment, SESSIONS: [session]}
        write_whole(file, json.dumps(whole, indent=2, sort_keys=True) + "\n")

    with _session(write, {"owner": owner, **facts}):
        yield


@contextlib.contextmanager
def _session(write: Callable[[dict[str, Any]], None], facts: Mapping[str, Any]) -> Iterator[None]:
    """``write`` a session when it begins, and once more with its duration when it ends."""
    began, start = datetime.now(UTC), monotonic()
    session = {
        "host": platform.node(),
        "began": began.isoformat(timespec="seconds"),
        **facts,
    }
    write(session)
    try:
        yield
    finally:
        session["seconds"] = round(monotonic() - start, 1)
        with contextlib.suppress(StorageError):  # a full disk has its own error already
            write(session)

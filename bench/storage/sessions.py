"""When, where and for how long a run was measured: a line of environment.json for every session."""

import contextlib
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from bench.errors import StorageError
from bench.storage.run_directory import RunDirectory, read_environment, write_environment

SESSIONS = "sessions"


def sessions_of(environment: Mapping[str, Any]) -> list[Any]:
    """The sessions that an environment names: host, begin (UTC), and seconds once it has ended."""
    found = environment.get(SESSIONS)
    return found if isinstance(found, list) else []


@contextlib.contextmanager
def dated(run: RunDirectory, environment: Mapping[str, Any], *, measured: bool) -> Iterator[None]:
    """Write the environment of a session with its date and host, and its duration when it ends.

    ``measured``: whether the run holds records, and so the sessions that they come from.
    """
    earlier = sessions_of(read_environment(run)) if measured else []
    began, start = datetime.now(UTC), monotonic()
    session: dict[str, Any] = {
        "host": platform.node(),
        "began": began.isoformat(timespec="seconds"),
    }

    def write() -> None:
        write_environment(run, {**environment, SESSIONS: [*earlier, session]})

    write()
    try:
        yield
    finally:
        session["seconds"] = round(monotonic() - start, 1)
        with contextlib.suppress(StorageError):  # a full disk has its own error already
            write()

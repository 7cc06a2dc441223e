"""Who holds a lease: a process by name, and whether it is known to have ended."""

import os
import platform
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from bench.process.lifeline import beginning

_PROC = Path("/proc")
_MOST_OF_A_HOST = 40


@dataclass(frozen=True)
class Owner:
    """A runner: ``name`` is that of no other, and sorts by the time it began."""

    name: str
    machine: str  # empty where nobody can tell
    pid: int
    began: str  # tells it from a later process with its number

    @classmethod
    def here(cls) -> Self:
        """This process."""
        host = re.sub(r"[^A-Za-z0-9]+", "-", platform.node())[:_MOST_OF_A_HOST]
        pid = os.getpid()
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{host}-{pid}-{secrets.token_hex(3)}"
        return cls(name, _machine(), pid, beginning(pid))

    @classmethod
    def read(cls, facts: Any) -> Self | None:
        """The owner that a file names; None where it names none."""
        match facts:
            case {"name": str(name), "machine": str(machine), "pid": int(pid), "began": str(began)}:
                return cls(name, machine, pid, began)
        return None

    def facts(self) -> dict[str, Any]:
        """What a file says of it."""
        return asdict(self)

    def has_ended(self) -> bool:
        """Whether it is known to have ended, which is known of processes of this machine alone."""
        ours = bool(self.machine) and self.machine == _machine()
        return ours and beginning(self.pid) != self.began


def _machine() -> str:
    """This boot of this machine, and the name space that numbers of processes belong to."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""

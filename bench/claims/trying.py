"""Carry experiments out in a process of their own, and hear of each as it ends."""

import subprocess
import sys
from collections.abc import Iterator, Sequence

from msgspec import Struct, ValidationError
from msgspec.json import decode

from bench.claims.ledger import Finding
from bench.errors import RunError


class Tried(Struct, frozen=True, kw_only=True):
    """What an experiment found, and how long it took."""

    experiment: str
    seconds: float
    findings: dict[str, Finding]  # setting -> what was found there


def tried(experiments: Sequence[str]) -> Iterator[Tried]:
    """One after the other, in that order.

    Raises:
        RunError: an experiment that raised, with the last lines of what it said.
    """
    if not experiments:
        return
    command = [sys.executable, "-P", "-m", "bench.experiments", *experiments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            for line in process.stdout:
                yield _read(line)
            said = process.stderr.read()
        finally:
            process.kill()
    if process.returncode:
        last = " | ".join(said.strip().split("\n")[-3:])
        raise RunError(f"expected every experiment to end; one did not: {last}")


def _read(line: str) -> Tried:
    try:
        return decode(line, type=Tried)
    except ValidationError as error:
        raise RunError(f"expected an experiment's findings; got {line[:200]!r}: {error}") from error

"""A variant on every number of ranks and both ways, in turn: one record each.

Groups of all sizes stay alive while the calls of a round go from one to the next, so that what
slows the machine down for a while is in all of them. Ranks that wait for their turn sleep.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from random import Random
from time import monotonic
from typing import Any

import torch

from bench.plan.points import Point
from bench.process.protocol import Message
from bench.seeds import seed_for
from bench.worker.across.group import Group, GroupError
from bench.worker.failures import Emit

ROUNDS = 7  # the range of six covers a median with 95 %
_LEAST = 3
_SECONDS = 60.0  # after which no round is begun but the first three

Start = Callable[[int, Message], Group]


def run_ranks(command: Message, emit: Emit, start: Start = Group) -> None:
    """A record a case; what cannot be says so in its own."""
    done = command.get("done", ())
    cases = [Case(command, case) for case in command["cases"] if case["cell_id"] not in done]
    with _groups(command, start) as group_of:
        running = [case for case in cases if case.looked(group_of, emit)]
        order = Random(seed_for(command["seed"], "ranks", command["unit"]))
        began = monotonic()
        for number in range(ROUNDS):
            if number >= _LEAST and monotonic() - began >= _SECONDS:
                break
            for case in order.sample(running, len(running)):
                if not case.timed(group_of, number, emit):
                    running.remove(case)
    for case in cases:
        emit({"event": "record", "record": case.record()})


@contextmanager
def _groups(command: Message, start: Start) -> Iterator[Callable[[int], Group]]:
    """The group of so many ranks, started where there is none; all end at the end."""
    alive: dict[int, Group] = {}

    def group_of(ranks: int) -> Group:
        if ranks not in alive or alive[ranks].ended:
            alive[ranks] = start(ranks, _facts(command))
        return alive[ranks]

    try:
        yield group_of
    finally:
        for group in alive.values():
            group.end()


def _facts(command: Message) -> Message:
    """What a rank has to know before it can build anything; one thread where none are asked for."""
    names = ("point", "seed", "bias", "data_dir")
    on_cuda = command["point"]["device"].startswith("cuda")
    return {
        **{name: command[name] for name in names},
        "threads": command["threads"] or 1,
        "backend": "nccl" if on_cuda else "gloo",
    }


@dataclass
class Case:
    """A number of ranks and a way, at n samples in all or n a rank."""

    command: Message
    case: Message
    found: Message = field(default_factory=dict)
    calls: list[Message] = field(default_factory=list)

    def looked(self, group_of: Callable[[int], Group], emit: Emit) -> bool:
        """Find out what does not depend on the clock; False where it cannot be measured."""
        if short := _too_few_devices(self.command, self.case["ranks"]):
            self.found = {"refusal": short}
            return False

        def look() -> None:
            placed = self._ask(group_of, "place", emit)
            counted = self._ask(group_of, "count", emit)
            # What one step more receives is what a step does.
            once, more = (self._ask(group_of, "time", emit, extra) for extra in (0, 1))
            wire = {name: _most(once, name) for name in ("floats", "bytes")}
            known = [one["operations"] for one in counted if one["operations"] is not None]
            self.found = {
                "samples": placed[0]["samples"],
                "operations": max(known) if len(known) == len(counted) else None,
                **{f"wire_{name}": most for name, most in wire.items()},
                **{f"wire_{name}_step": _most(more, name) - most for name, most in wire.items()},
            }

        return self._survives(look)

    def timed(self, group_of: Callable[[int], Group], number: int, emit: Emit) -> bool:
        """One call; False where it failed."""

        def call() -> None:
            answers = self._ask(group_of, "time", emit)
            slowest = max(answers, key=lambda one: float(one["seconds"]))
            times = {name: slowest[name] for name in ("seconds", "prepare_s", "steps_s")}
            self.calls.append({"round": number, **times})

        return self._survives(call)

    def record(self) -> Message:
        """What the journal keeps."""
        facts = _facts(self.command)
        variant = self.command["variant"]
        return {
            **asdict(Point(**self.command["point"])),
            **self.case,
            "method": variant.partition(":")[0],
            "variant": variant,
            "of": len(self.command["cases"]),
            "threads": facts["threads"],
            "backend": facts["backend"],
            "flags": _flags(facts, self.case["ranks"]),
            "calls": self.calls,
            **self.found,
        }

    def _survives(self, part: Callable[[], None]) -> bool:
        try:
            part()
        except GroupError as error:
            if error.refused:
                self.found = {"refusal": error.reason}
            else:
                self.found = {"status": error.status, "reason": error.reason}
            self.calls.clear()
            return False
        return True

    def _ask(
        self, group_of: Callable[[int], Group], what: str, emit: Emit, more_steps: int = 0
    ) -> list[Message]:
        emit({"event": "note", **self.case})
        ranks, point = self.case["ranks"], self.command["point"]
        n = point["n"] * (ranks if self.case["scaling"] == "weak" else 1)
        asked = {"n": n, "t": point["t"] + more_steps, "variant": self.command["variant"]}
        group = group_of(ranks)
        # A rank that cannot build its share says so before the others wait for it.
        if what != "place":
            group.ask({"do": "place", **asked})
        return group.ask({"do": what, "way": self.case["way"], **asked})


def _most(answers: list[Message], name: str) -> int:
    return max(int(one[name]) for one in answers)


def _too_few_devices(command: Message, ranks: int) -> str:
    """Why there cannot be so many ranks; "" where there can."""
    devices = torch.cuda.device_count()
    if not command["point"]["device"].startswith("cuda") or ranks <= devices:
        return ""
    return f"expected a GPU for every rank; got {devices} for {ranks} ranks: measure fewer"


def _flags(facts: Message, ranks: int) -> list[str]:
    """What makes the times of so many ranks doubtful."""
    cores = _cores()
    if facts["backend"] != "gloo" or ranks * facts["threads"] <= cores:
        return []
    threads = f"{facts['threads']} thread" + ("s" if facts["threads"] > 1 else "")
    return [f"more threads than cores: {ranks} ranks of {threads} on {cores}"]


def _cores() -> int:
    affinity: Any = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

"""Workers for a gate that measure nothing: their times are injected, their clock is made up."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.gate.subject import Subject
from bench.process.protocol import Message
from bench.process.worker import WorkerGoneError

COMMANDS = ("environment", "open", "turn")
BASE_SECONDS = 0.002


@dataclass
class Code:
    """What one source tree does: how slow each variant is, and what goes wrong.

    ``factors``: variant -> factor on its time. ``raises``: variants that fail when they are built.
    ``kills``: variants whose turns end the worker. ``process``: the number of the process on this
    tree (0, 1, ...) -> factor on all its times.
    """

    factors: dict[str, float] = field(default_factory=dict)
    raises: tuple[str, ...] = ()
    kills: tuple[str, ...] = ()
    starts: bool = True
    commands: tuple[str, ...] = COMMANDS
    environment: dict[str, Any] = field(default_factory=dict)
    process: Callable[[int], float] = lambda _number: 1.0
    imports_from: Path | None = None


class Machine:
    """Both trees' workers on one machine, whose noise and drift they share.

    ``noise``: relative, normal, with one sample in twenty three times as far out. ``ramp``: how
    much slower the machine is after 1000 turns.
    """

    def __init__(
        self, codes: dict[Path, Code], seed: int = 0, noise: float = 0.03, ramp: float = 0.0
    ) -> None:
        self.codes, self.noise, self.ramp = codes, noise, ramp
        self.random = random.Random(seed)
        self.launched: Counter[Path] = Counter()
        self.turns = 0

    def launch(self, subject: Subject) -> "FakeWorker":
        root = subject.root
        number = self.launched[root]
        self.launched[root] += 1
        return FakeWorker(self, subject, self.codes[root], number)

    def seconds(self, factor: float) -> float:
        far = 3.0 if self.random.random() < 0.05 else 1.0
        wave = max(1 + far * self.noise * self.random.gauss(0, 1), 0.1)
        return BASE_SECONDS * factor * wave * (1 + self.ramp * self.turns / 1000)


class FakeWorker:
    """Speaks the protocol of ``bench.process.protocol``."""

    def __init__(self, machine: Machine, subject: Subject, code: Code, number: int) -> None:
        self._machine, self._benchmark, self._code = machine, subject.benchmark, code
        self._factor = code.process(number)
        self._variants: dict[str, str] = {}
        self._events: list[Message] = []
        self.killed = False
        if code.starts:
            self._events.append({"event": "ready", "commands": list(code.commands)})

    def send(self, command: Message) -> None:
        assert not self._events, "the answer to the last command was not read to its end"
        getattr(self, f"_{command['do']}")(command)

    def receive(self, timeout: float) -> Message:
        assert timeout > 0
        if not self._events:
            raise WorkerGoneError("crashed", "the worker ended with signal SIGSEGV")
        return self._events.pop(0)

    def stop(self) -> None:
        self.killed = True

    def kill(self) -> None:
        self.killed = True

    def _environment(self, _command: Message) -> None:
        facts = {"torch": "2.13.0", "cpu_model": "made up", **self._code.environment}
        self._events.append({"event": "environment", "device": "cpu", "environment": facts})
        self._events.append({"event": "done"})

    def _open(self, command: Message) -> None:
        for cell in command["cells"]:
            self._events.append({"event": "note", "cell_id": cell["cell_id"]})
            if cell["variant"] in self._code.raises:
                failure = {"status": "crashed", "reason": "ValueError: no luck today"}
                self._events.append({"event": "cell", "cell_id": cell["cell_id"], **failure})
            else:
                self._variants[cell["cell_id"]] = cell["variant"]
        root = (self._code.imports_from or self._benchmark).resolve()
        self._events.append({"event": "opened", "sources": [str(root)]})
        self._events.append({"event": "done"})

    def _turn(self, command: Message) -> None:
        variant = self._variants[command["cell_id"]]
        if variant in self._code.kills:
            return
        self._machine.turns += 1
        factor = self._code.factors.get(variant, 1.0) * self._factor
        samples = []
        for _ in range(command["calls"]):
            seconds = self._machine.seconds(factor)
            spans = {"prepare_s": 0.0, "steps_s": seconds}
            samples.append({"clock": "wall", "seconds": seconds, **spans})
        self._events.append({"event": "sample", "cell_id": command["cell_id"], "samples": samples})
        self._events.append({"event": "done"})

"""A conversation with a worker of a few lines, and with a process that is told where it is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RunError
from bench.process.conversation import Conversation
from bench.process.local import WorkerProcess
from bench.process.worker import WorkerGoneError

READY = {"event": "ready", "commands": ["block"], "waits": True}
DONE = {"event": "done"}
HERE = {"event": "environment", "device": "cpu", "environment": {"torch": "made up"}}


class Scripted:
    """Says what it was given to say, whatever it is told; then it is gone."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = [READY, *events]
        self.heard: list[str] = []
        self.ended = ""

    def send(self, command: dict[str, Any]) -> None:
        self.heard.append(command["do"])

    def receive(self, timeout: float) -> dict[str, Any]:
        assert timeout == 3.0
        if not self.events:
            raise WorkerGoneError("oom", "the worker ended with signal SIGKILL")
        return self.events.pop(0)

    def stop(self) -> None:
        self.ended = "stopped"

    def kill(self) -> None:
        self.ended = "killed"


def talk(*workers: Scripted) -> Conversation:
    """One after another."""
    left: Iterator[Scripted] = iter(workers)
    return Conversation(lambda: next(left), 3.0)


def events(conversation: Conversation, do: str = "block") -> list[str]:
    return [message["event"] for message in conversation.ask({"do": do})]


def test_a_worker_is_launched_once_and_told_what_is_kept() -> None:
    worker = Scripted({"event": "sample"}, {"event": "cell"}, DONE, {"event": "record"}, DONE)
    conversation = talk(worker)

    assert events(conversation) == ["sample", "cell"]
    assert events(conversation, "spectrum") == ["record"]
    assert worker.heard == ["block", "kept", "spectrum"]
    conversation.end()
    assert worker.ended == "stopped"


def test_a_worker_that_does_not_wait_is_not_told() -> None:
    worker = Scripted({"event": "cell"}, DONE)
    worker.events[0] = {"event": "ready"}

    assert events(talk(worker)) == ["cell"]
    assert worker.heard == ["block"]


def test_the_one_that_was_started_is_the_one_that_is_asked() -> None:
    first, second = Scripted(), Scripted(DONE)
    conversation = talk(first, second)

    conversation.start()
    conversation.start()
    assert conversation.ready() == ["block"]
    assert events(conversation) == []
    assert first.ended == "stopped"
    assert second.heard == ["block"]


def test_after_a_loss_the_next_command_goes_to_another_worker() -> None:
    lost, other = Scripted({"event": "note"}), Scripted(DONE)
    conversation = talk(lost, other)

    with pytest.raises(WorkerGoneError, match="SIGKILL"):
        events(conversation)
    assert lost.ended == "killed"
    assert events(conversation) == []
    assert other.heard == ["block"]


def test_a_worker_that_never_gets_ready_is_ended() -> None:
    stillborn = Scripted()
    stillborn.events = []

    with pytest.raises(WorkerGoneError):
        talk(stillborn).ready()
    assert stillborn.ended == "killed"


def test_a_worker_that_retires_is_replaced() -> None:
    poisoned, other = (
        Scripted({"event": "cell"}, {"event": "retire", "reason": "x"}),
        Scripted(DONE),
    )
    conversation = talk(poisoned, other)

    assert events(conversation) == ["cell", "retire"]
    assert poisoned.ended == "killed"
    assert events(conversation) == []


def test_the_environment_is_read_to_its_end() -> None:
    """What is left unread would be taken for the answer to the next command."""
    conversation = talk(Scripted(HERE, DONE, {"event": "sample"}, DONE))

    assert conversation.environment("auto", 1) == ("cpu", {"torch": "made up"})
    assert events(conversation) == ["sample"]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ([{"event": "failed", "reason": "torch sees none"}], "torch sees none"),
        ([], "expected the worker to describe its environment; it said nothing"),
    ],
)
def test_a_worker_that_cannot_describe_its_place(said: list[Any], text: str) -> None:
    conversation = talk(Scripted(*said, DONE, DONE))

    with pytest.raises(RunError, match=text):
        conversation.environment("cuda", None)
    assert events(conversation) == []


def test_an_answer_that_was_not_read_is_noticed() -> None:
    conversation = talk(Scripted({"event": "sample"}, DONE, DONE))
    next(iter(conversation.ask({"do": "turn"})))

    with pytest.raises(RuntimeError, match="expected every event of 'turn' to be read first"):
        events(conversation)


SAYS = """
import json, os, sys
facts = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "HOME", "PYTHONPATH")}
print(json.dumps({"v": 1, "event": "ready", **facts}), flush=True)
sys.stdin.readline()
"""


def test_a_process_gets_its_variables_beside_ours_and_its_source_tree(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    (tmp_path / "bench" / "worker.py").write_text(SAYS)
    worker = WorkerProcess(tmp_path, {"CUDA_VISIBLE_DEVICES": "3"})

    said = worker.receive(30.0)

    worker.stop()
    assert said["CUDA_VISIBLE_DEVICES"] == "3"
    assert said["HOME"] == os.environ.get("HOME")
    assert said["PYTHONPATH"].split(os.pathsep)[0] == str(tmp_path)

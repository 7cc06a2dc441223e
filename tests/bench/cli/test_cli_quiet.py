"""``--quiet`` leaves the path of the report, and errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.plan.points import make_plan
from bench.runner.runner import Summary
from bench.runner.session import Listener
from bench.spec.spec import Spec

Called = Callable[..., tuple[int, str, str]]


def measured(statuses: dict[str, int]) -> Callable[..., Summary]:
    """A run that has something to say at every turn."""

    def carry_out(spec: Spec, *_: object, listener: Listener, **__: Any) -> Summary:
        listener.planned(make_plan(spec))
        listener.say("the lock of process 7 is stale")
        summary = Summary(flagged=2)
        summary.statuses.update(statuses)
        return summary

    return carry_out


@pytest.fixture
def run(command: Called, stand_in: None, monkeypatch: pytest.MonkeyPatch) -> Called:
    def called(
        name: str, *words: str, statuses: dict[str, int] | None = None
    ) -> tuple[int, str, str]:
        fake = measured(statuses or {"ok": 1})
        monkeypatch.setattr("bench.cli.measuring.ways.carry_out", fake)
        monkeypatch.setattr("bench.cli.measuring.probe._print", lambda _: print("UNDECIDED"))
        return command(name, *words, "--out", "here")

    return called


@pytest.mark.parametrize("name", ["run", "train", "probe"])
def test_nothing_but_the_path(run: Called, name: str) -> None:
    path = f"{Path('here') / 'report.html'}\n"

    assert run(name, "--quiet") == (0, path, "")
    code, printed, errors = run(name)
    assert code == 0
    assert printed.endswith(path)
    for words in ("preset ", "process 7 is stale", "2 cells are flagged"):
        assert words in errors
    assert ("UNDECIDED" in printed) == (name == "probe")


def test_an_error_is_said(run: Called) -> None:
    code, _, errors = run("run", "--quiet", statuses={"oom": 1})

    assert code == 4
    assert errors == "not every cell is fine: 1 oom; the reasons are in the report\n"

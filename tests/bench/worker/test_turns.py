"""A block that stays open: what a turn answers, and from which weights it starts."""

import gc
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.gate.gate import gate_units
from bench.plan.points import make_plan
from bench.spec.preset import load_preset
from bench.worker.block import built_point
from bench.worker.turns import OpenBlocks, source_trees

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def thaw():
    """``open`` freezes what it has built; other tests want it collected."""
    yield
    gc.unfreeze()


@pytest.fixture
def command() -> dict[str, Any]:
    """The first block of the preset gate."""
    spec = load_preset("gate")
    return gate_units(make_plan(spec))[0].command


def opened(command):
    found, events = OpenBlocks(), []
    found.open(command, events.append)
    return found, events


def test_the_blocks_of_a_gate_are_without_sgd(command):
    assert "sgd" not in {cell["variant"] for cell in command["cells"]}
    assert len(command["cells"]) == 5


def test_a_turn_is_so_many_calls_by_wall_and_processor_time(command):
    found, events = opened(command)
    assert events[-1] == {"event": "opened", "sources": [str(ROOT)], "strays": []}
    cell = command["cells"][0]["cell_id"]
    found.turn({"cell_id": cell, "calls": 3}, events.append)

    samples = events[-1]["samples"]
    assert [s["clock"] for s in samples] == ["processor", "wall"] * 3
    assert all(s["seconds"] > 0 for s in samples)


def test_several_threads_have_no_processor_time(command):
    found, events = opened({**command, "threads": None})
    found.turn({"cell_id": command["cells"][0]["cell_id"], "calls": 1}, events.append)

    assert [s["clock"] for s in events[-1]["samples"]] == ["wall"]


def test_every_call_starts_from_the_same_weights(command, monkeypatch):
    """With a learning rate that moves them, which timing itself never uses."""
    monkeypatch.setattr("bench.timing.rounds.TIMING_LR", 0.1)
    models, starts = [], []

    def built(given):
        point, made = built_point(given)
        models.append(made.model)
        return point, made

    monkeypatch.setattr("bench.worker.turns.built_point", built)
    found, events = opened(command)

    def flat():
        return torch.cat([p.detach().reshape(-1) for p in models[0].parameters()])

    for ready in found._ready.values():
        call = ready.entrant.call

        def noted(call=call):
            starts.append(flat())
            result = call()
            assert not torch.equal(starts[-1], flat())
            return result

        ready.entrant.call = noted
    for cell in command["cells"]:
        found.turn({"cell_id": cell["cell_id"], "calls": 2}, events.append)

    assert len(starts) == 10
    assert all(torch.equal(start, starts[0]) for start in starts)


def test_a_point_at_which_no_step_is_taken_is_invalid(command):
    """As many samples as the layers are wide leave no free direction."""
    narrow = {**command, "point": {**command["point"], "d": 8}}
    _, events = opened(narrow)

    ended = {e["cell_id"]: e for e in events if e["event"] == "cell"}
    found = ended[command["cells"][0]["cell_id"]]
    assert found["status"] == "invalid"
    assert "expected 1 steps; 0 were carried out" in found["reason"]
    assert "choose n below d" in found["reason"]


def test_a_cell_that_fails_in_a_turn_ends_and_the_others_go_on(command, capsys):
    found, events = opened(command)
    first, second = (cell["cell_id"] for cell in command["cells"][:2])

    def fail():
        raise RuntimeError("no luck today")

    found._ready[first].entrant.call = fail
    found.turn({"cell_id": first, "calls": 1}, events.append)
    assert (events[-1]["event"], events[-1]["status"]) == ("cell", "crashed")
    assert events[-1]["reason"] == "RuntimeError: no luck today (test_turns.py, line 113, in fail)"
    assert "no luck today" in capsys.readouterr().err
    found.turn({"cell_id": second, "calls": 1}, events.append)
    assert events[-1]["event"] == "sample"


def test_the_trees_that_our_packages_come_from():
    def module(path):
        return types.SimpleNamespace(__file__=path)

    modules = [
        ("bench", module("/a/bench/__init__.py")),
        ("teleport_core", module("/b/teleport_core/__init__.py")),
        ("torch", module("/c/torch/__init__.py")),
        ("baselines", module(None)),
    ]

    assert source_trees(modules) == ["/a", "/b"]

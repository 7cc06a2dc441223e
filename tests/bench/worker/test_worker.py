"""The worker's commands in this process."""

import io
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.errors import SpecError
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.spec.preset import load_preset
from bench.worker import block, commands
from teleport_core import TeleportResult
from teleport_core.errors import ModelError, ProblemError
from teleport_core.nullspace.teleporter import NullSpaceTeleporter


@pytest.fixture
def command() -> dict[str, Any]:
    """The first block of the smoke preset."""
    spec = load_preset("smoke").with_overrides(device="cpu", threads=1)
    return make_units(make_plan(spec), [])[0].command


def test_every_sample_starts_from_the_same_weights(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a learning rate that moves them, which timing itself never uses."""
    monkeypatch.setattr("bench.timing.rounds.TIMING_LR", 0.1)
    models: list[torch.nn.Module] = []
    starts: list[torch.Tensor] = []
    original_built, original_sample = block.built_point, block._one_sample

    def built(given: dict[str, Any]) -> Any:
        point, made = original_built(given)
        models.append(made.model)
        return point, made

    def flat() -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for p in models[0].parameters()])

    moved = []

    def one_sample(*arguments: Any) -> bool:
        starts.append(flat())
        going_on = original_sample(*arguments)
        moved.append(not torch.equal(starts[-1], flat()))
        return going_on

    monkeypatch.setattr(block, "built_point", built)
    monkeypatch.setattr(block, "_one_sample", one_sample)
    events: list[dict[str, Any]] = []

    block.run_block(command, events.append)

    assert len(starts) > 20
    assert any(moved)
    assert all(torch.equal(start, starts[0]) for start in starts)
    assert torch.equal(flat(), starts[0])
    ended = [event for event in events if event["event"] == "cell"]
    assert {event["status"] for event in ended} == {"ok"}


def test_a_method_that_climbs_another_gradient_is_not_timed(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are; also one that cannot say what its gradient is, such as identity."""
    real = NullSpaceTeleporter.advance

    def misread(self: NullSpaceTeleporter, *given: Any) -> TeleportResult:
        result = real(self, *given)
        off = 1.02 if self.engine == "textbook" else 1.0
        return replace(result, grad_norm_sq=[off * norm for norm in result.grad_norm_sq])

    monkeypatch.setattr(NullSpaceTeleporter, "advance", misread)
    for cell in command["cells"]:
        if cell["variant"] == "nullspace":
            textbook = {**cell, "cell_id": "misread", "variant": "nullspace:engine=textbook"}
            identity = {**cell, "cell_id": "idle", "variant": "identity"}
    command["cells"] += [textbook, identity]
    events: list[dict[str, Any]] = []

    block.run_block(command, events.append)

    ended = {event["cell_id"]: event for event in events if event["event"] == "cell"}
    assert ended.pop("misread")["status"] == "invalid"
    assert {event["status"] for event in ended.values()} == {"ok"}
    assert "idle" in ended
    reasons = [e["reason"] for e in events if e.get("cell_id") == "misread" and "reason" in e]
    assert "as the model's own backward pass gives" in reasons[0]


def test_where_the_model_cannot_be_looked_at_sgd_alone_is_timed(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlucky(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("bench.worker.gradient_check.look", unlucky)
    events: list[dict[str, Any]] = []

    block.run_block(command, events.append)

    ended = {event["cell_id"]: event["status"] for event in events if event["event"] == "cell"}
    expected = {c["cell_id"]: "ok" if c["variant"] == "sgd" else "oom" for c in command["cells"]}
    assert ended == expected


def test_warm_up_leaves_no_samples(command: dict[str, Any]) -> None:
    events: list[dict[str, Any]] = []

    block.run_block(command, events.append)

    rounds = {s["round"] for e in events if e["event"] == "sample" for s in e["samples"]}
    assert min(rounds) == 0
    assert len(rounds) >= 7
    ended = [event for event in events if event["event"] == "cell"]
    warmup = {event["warmup"]["rounds"] for event in ended}
    notes = sum(event["event"] == "note" for event in events)
    samples = sum(event["event"] == "sample" for event in events)
    # One more of each for the memory pass, which leaves no sample either, and of each method one
    # for every whole call and the step beside it, the first of which leave none.
    pairs = sum(len(event["calls"]) + 1 for event in ended if event["calls"])
    assert notes == samples + (warmup.pop() + 1) * len(command["cells"]) + 2 * pairs
    assert not warmup


def test_every_cell_says_why_its_sampling_ended_and_how_the_machine_was(
    command: dict[str, Any],
) -> None:
    events: list[dict[str, Any]] = []

    block.run_block(command, events.append)

    for cell in (event for event in events if event["event"] == "cell"):
        assert cell["stop"]["reason"] in ("precise", "samples spent", "time spent")
        assert cell["stop"]["looks"] == [7]
        assert cell["stop"]["interval_level"] >= 0.95
        assert cell["warmup"]["why"] in ("steady", "time", "rounds")
        assert "load" in cell["health"]


def test_a_cold_cache_takes_a_gpu(command: dict[str, Any]) -> None:
    command["sampling"]["cache"] = "cold"

    with pytest.raises(SpecError, match=r"expected a CUDA device .* got 'cpu': write 'hot'"):
        block.run_block(command, lambda _: None)


@pytest.mark.parametrize(("kept", "reported"), [(0, 1), (1, 2), (2, 2)])
def test_no_cell_is_finished_before_the_one_before_is_kept(
    monkeypatch: pytest.MonkeyPatch, kept: int, reported: int
) -> None:
    """A runner that is gone keeps nothing: its worker ends, and does not go on."""

    def two_cells(_command: dict[str, Any], emit: commands.Emit) -> None:
        emit({"event": "cell", "cell_id": "a"})
        emit({"event": "cell", "cell_id": "b"})

    monkeypatch.setitem(commands._COMMANDS, "block", two_cells)
    lines = ['{"v": 1, "do": "block"}', *['{"v": 1, "do": "kept"}'] * kept]
    events = io.StringIO()

    def serve() -> None:
        commands.serve(io.StringIO("".join(f"{line}\n" for line in lines)), events)

    if kept < 2:
        with pytest.raises(SystemExit, match="the runner has ended"):
            serve()
    else:
        serve()

    assert events.getvalue().count('"event": "cell"') == reported


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to"), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), "oom"),
        (torch.linalg.LinAlgError("non-finite values"), "invalid"),
        (ModelError("expected a model that"), "skipped"),
        (SpecError("expected l = 4, 7, 10"), "skipped"),
        (ProblemError("expected a finite loss"), "invalid"),
        (RuntimeError("anything else"), "crashed"),
    ],
)
def test_status_of_an_error(error: Exception, status: str) -> None:
    assert commands.status_of(error) == status

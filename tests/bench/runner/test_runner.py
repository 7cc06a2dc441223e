"""The runner with real worker processes on faults of every kind; tiny models."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RunError
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.runner.runner import Runner, Summary
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.sampling import Sampling
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant
from bench.storage.journal import Journal, read
from bench.storage.records import CellRecord, cells_of

FACTORY = """
    import os, signal, sys, time
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Guarded(nn.Module):
        '''Does something bad when a teleport method, and not SGD, runs it.'''

        def __init__(self, d):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(6, d), nn.Tanh(), nn.Linear(d, 3))
            self.d = d

        def forward(self, x):
            teleporting = torch._C._len_torch_function_stack() > 0  # somebody watches
            if teleporting:
                self.misbehave()
            return self.body(x)

        def misbehave(self):
            pass

    class Segfault(Guarded):
        def misbehave(self):
            if self.d == 12:
                print("about to fall", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGSEGV)

    class Raises(Guarded):
        def misbehave(self):
            if self.d == 12:
                raise ValueError("no luck today")

    class Sleeps(Guarded):
        def misbehave(self):
            if self.d == 12:
                time.sleep(60)

    class Poisons(Guarded):
        def misbehave(self):
            if self.d == 12:
                def lost():
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
                torch.cuda.is_initialized = lambda: True
                torch.cuda.synchronize = lost
                lost()

    class Prints(Guarded):
        def misbehave(self):
            print("this must not reach the protocol")

    def _make(kind):
        def factory(d, n, b, seed):
            generator = torch.Generator().manual_seed(seed % 2**32)
            batches = [
                (torch.randn(n, 6, generator=generator), torch.randint(0, 3, (n,)))
                for _ in range(b + 1)
            ]
            return kind(d), F.cross_entropy, batches
        return factory

    segfault, raises, sleeps, prints, poisons = map(
        _make, (Segfault, Raises, Sleeps, Prints, Poisons)
    )

    def broken(d):
        if d == 12:
            raise RuntimeError("the factory is broken")
        return _make(Guarded)(d, 4, 1, 0)

    def killed_while_building(d):
        if d == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        return _make(Guarded)(d, 4, 1, 0)
"""


@pytest.fixture(scope="module")
def factories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("factories") / "mine.py"
    path.write_text(textwrap.dedent(FACTORY))
    return path


def spec_for(model: str, *axes: str) -> Spec:
    spec = load_preset("smoke").with_overrides(
        model=model,
        device="cpu",
        threads=1,
        axes=tuple(parse_axis(text) for text in axes or ("t=2", "d=8,12", "n=4", "b=1")),
        variants=(parse_variant("nullspace"), parse_variant("identity")),
        sampling=Sampling(warmup=1, min_samples=3, max_samples=3, block_seconds=1.0),
    )
    section = spec.preservation
    from dataclasses import replace

    return spec.with_overrides(preservation=replace(section, enabled=False))


class Silent:
    def begin(self, units: list[Any]) -> None: ...

    def unit(self, unit: Any, records: list[Any], seconds: float) -> None: ...

    def end(self) -> None: ...


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One worker for all tests, until one of them makes it fall: torch is imported once."""
    shared = Runner(Silent(), silence=60.0)
    yield shared
    shared.close()


def carry_out(
    spec: Spec, path: Path, runner: Runner, *, budget: float | None = None
) -> tuple[Summary, dict[tuple[int | None, str], CellRecord]]:
    """Run a spec; the records by (d, variant)."""
    records = read(path / "journal.jsonl") if (path / "journal.jsonl").exists() else []
    with Journal(path / "journal.jsonl") as journal:
        summary = runner.run(make_units(make_plan(spec), records), journal, budget)
    found = read(path / "journal.jsonl")
    cells = {(r.d, r.variant): r for r in cells_of(found)}
    assert len(cells) == len(cells_of(found))
    return summary, cells


def statuses(cells: dict[tuple[int | None, str], CellRecord]) -> dict[tuple[int | None, str], str]:
    return {key: record.status for key, record in cells.items()}


ALL_OK = {(d, v): "ok" for d in (8, 12) for v in ("sgd", "nullspace", "identity")}


def test_every_cell_has_its_paired_samples(factories: Path, tmp_path: Path, runner: Runner) -> None:
    summary, cells = carry_out(spec_for(f"{factories}:prints"), tmp_path, runner)

    assert statuses(cells) == ALL_OK
    assert summary.complete
    for record in cells.values():
        assert [s.round for s in record.samples] == [0, 1, 2]
        assert record.steps_done == 2
        for sample in record.samples:
            parts = sample.prepare_s + sample.steps_s
            assert sample.clock == "wall"
            assert sample.seconds == pytest.approx(parts, rel=1e-6)
    assert cells[8, "nullspace"].guarantee == "EXACT_ON_BATCH"
    assert cells[8, "nullspace"].null_dims["body.2.weight"] == [5]
    assert len({record.block_id for record in cells.values()}) == 2


@pytest.mark.parametrize(
    ("factory", "status", "reason"),
    [
        ("segfault", "crashed", "signal SIGSEGV: .*about to fall"),
        ("raises", "crashed", "ValueError: no luck today"),
    ],
)
def test_a_cell_that_fails_keeps_its_row_and_the_others_are_measured(
    factories: Path, tmp_path: Path, runner: Runner, factory: str, status: str, reason: str
) -> None:
    summary, cells = carry_out(spec_for(f"{factories}:{factory}"), tmp_path, runner)

    assert statuses(cells) == {**ALL_OK, (12, "nullspace"): status}
    import re

    assert re.search(reason, cells[12, "nullspace"].reason)
    assert len(cells[12, "identity"].samples) == 3
    assert not summary.complete


@pytest.mark.long  # test_faults has a worker that is busy for ever, this one sleeps
def test_a_worker_that_hangs_is_killed_and_its_cell_blamed(factories: Path, tmp_path: Path) -> None:
    runner = Runner(Silent(), silence=8.0)
    _, cells = carry_out(spec_for(f"{factories}:sleeps"), tmp_path, runner)
    runner.close()

    assert statuses(cells) == {**ALL_OK, (12, "nullspace"): "timeout"}
    assert "no sign of life for 8 s" in cells[12, "nullspace"].reason


@pytest.mark.parametrize(
    ("factory", "status", "reason"),
    [
        ("broken", "crashed", "RuntimeError: the factory is broken"),
        ("killed_while_building", "oom", "signal SIGKILL"),
    ],
)
def test_a_point_that_cannot_be_built_fails_as_a_whole(
    factories: Path, tmp_path: Path, runner: Runner, factory: str, status: str, reason: str
) -> None:
    _, cells = carry_out(spec_for(f"{factories}:{factory}"), tmp_path, runner)

    lost = {(12, v): status for v in ("sgd", "nullspace", "identity")}
    assert statuses(cells) == {**ALL_OK, **lost}
    assert reason in cells[12, "sgd"].reason


def test_an_unknown_option_fails_only_its_own_cells(
    factories: Path, tmp_path: Path, runner: Runner
) -> None:
    spec = spec_for(f"{factories}:prints").with_overrides(
        variants=(parse_variant("nullspace:tua=0.9"), parse_variant("identity"))
    )
    _, cells = carry_out(spec, tmp_path, runner)

    assert statuses(cells)[8, "nullspace:tua=0.9"] == "crashed"
    assert "did you mean 'tau'" in cells[8, "nullspace:tua=0.9"].reason
    assert statuses(cells)[8, "identity"] == "ok"


def test_steps_that_were_not_carried_out_make_a_cell_invalid(
    factories: Path, tmp_path: Path, runner: Runner
) -> None:
    """n = 16 samples span the 8 hidden units: nothing is free."""
    _, cells = carry_out(
        spec_for(f"{factories}:prints", "t=2", "n=16", "d=8", "b=1"), tmp_path, runner
    )

    assert statuses(cells)[8, "nullspace"] == "invalid"
    assert "0 of 2 steps were carried out (NO_" in cells[8, "nullspace"].reason
    assert cells[8, "nullspace"].samples == []


def test_a_spent_budget_leaves_units_for_later_and_resuming_measures_only_those(
    factories: Path, tmp_path: Path, runner: Runner
) -> None:
    spec = spec_for(f"{factories}:prints")
    summary, cells = carry_out(spec, tmp_path, runner, budget=1e-9)
    assert (summary.left, len(cells)) == (2, 0)

    summary, cells = carry_out(spec, tmp_path, runner)
    assert (summary.left, len(cells)) == (0, 6)
    before = (tmp_path / "journal.jsonl").read_bytes()

    summary, _ = carry_out(spec, tmp_path, runner)
    assert sum(summary.statuses.values()) == 0
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_resuming_after_a_torn_line_measures_that_cell_only(
    factories: Path, tmp_path: Path, runner: Runner
) -> None:
    spec = spec_for(f"{factories}:prints")
    first = Runner(Silent(), silence=60.0)
    carry_out(spec, tmp_path, first)
    first.close()
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(whole)[:-30])

    carry_out(spec, tmp_path, runner)

    again = journal.read_text().splitlines(keepends=True)
    assert again[:-2] == whole[:-1]
    reference, cell, before = map(json.loads, (again[-2], again[-1], whole[-1]))
    assert cell["cell_id"] == before["cell_id"]
    # SGD beside it, in the same process, and not a second record of that cell.
    assert (reference["kind"], reference["variant"]) == ("reference", "sgd")
    assert reference["session"] == cell["session"] != before["session"]
    assert [s["round"] for s in reference["samples"]] == [s["round"] for s in cell["samples"]]


def test_environment_of_a_device_that_is_not_there_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    runner = Runner(Silent())
    with pytest.raises(RunError, match="expected a CUDA device for device 'cuda'; torch sees none"):
        runner.environment("cuda", None)
    runner.close()


def test_a_worker_whose_cuda_context_is_lost_is_replaced(
    factories: Path, tmp_path: Path, runner: Runner
) -> None:
    """The fake context stays unusable for the whole life of the process, as a real one does."""
    _, cells = carry_out(spec_for(f"{factories}:poisons"), tmp_path, runner)

    assert statuses(cells) == ALL_OK | {(12, "nullspace"): "crashed"}
    lost = cells[12, "nullspace"]
    assert "CUDA error: an illegal memory access" in lost.reason
    # The others of its block were measured by the next worker, beside SGD of their own.
    assert cells[12, "identity"].session == cells[12, "sgd"].session != lost.session
    assert len(cells[12, "identity"].samples) == 3

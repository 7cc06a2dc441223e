"""Twenty cells, five of them with a fault of each kind: what the runner makes of them."""

import textwrap
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.process.local import WorkerProcess
from bench.process.protocol import Message
from bench.runner.runner import Runner
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.sampling import Sampling
from bench.spec.variants import parse_variant
from bench.storage.journal import Journal, read
from bench.storage.records import cells_of

TIMEOUT = 6.0
START_SECONDS = 60.0  # the first sign of life comes after the import of torch

FACTORY = """
    import ctypes, subprocess, sys, time
    from pathlib import Path
    import torch
    from torch import nn
    from torch.nn import functional as F

    def oom(x):
        return torch.empty(2**55) + x

    def segfault(x):
        print("\\x1b[31mabout to fall", file=sys.stderr, flush=True)
        ctypes.string_at(0)

    def loop(x):
        # A child that leaves the process group must not be left over either.
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        Path(__file__).with_name("loop-began").touch()
        while True:
            pass

    def exception(x):
        raise ValueError("no luck today")

    def nan(x):
        return x * float("nan")

    FAULTS = {12: oom, 13: segfault, 14: loop, 15: exception, 16: nan}

    class Net(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(6, d), nn.Tanh(), nn.Linear(d, 3))
            self.d = d

        def forward(self, x):
            teleporting = torch._C._len_torch_function_stack() > 0  # somebody watches
            if teleporting and self.d in FAULTS:
                x = FAULTS[self.d](x)
            return self.body(x)

    def factory(d, n, b, seed):
        generator = torch.Generator().manual_seed(seed % 2**32)
        batches = [
            (torch.randn(n, 6, generator=generator), torch.randint(0, 3, (n,))) for _ in range(b)
        ]
        return Net(d), F.cross_entropy, batches
"""

EXPECTED = {
    12: ("oom", "DefaultCPUAllocator: can't allocate memory"),
    13: ("crashed", "signal SIGSEGV"),
    14: ("timeout", f"no sign of life for {TIMEOUT:g} s, so it was killed"),
    15: ("crashed", "ValueError: no luck today"),
    16: ("invalid", "non-finite values"),
}


class Silent:
    def begin(self, units: list[Any]) -> None: ...

    def unit(self, unit: Any, records: list[Any], seconds: float) -> None: ...

    def end(self) -> None: ...


class Watched(WorkerProcess):
    """Remembers every worker and when a hanging one was dead."""

    made: ClassVar[list["Watched"]] = []
    dead_at: ClassVar[list[float]] = []

    def __init__(self) -> None:
        super().__init__()
        self.made.append(self)
        self.heard = False

    def receive(self, timeout: float) -> Message:
        try:
            message = super().receive(timeout if self.heard else START_SECONDS)
        except Exception as error:
            if getattr(error, "status", "") == "timeout":
                self.dead_at.append(time.time())
            raise
        self.heard = True
        return message


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[int, str], Any]]:
    place = tmp_path_factory.mktemp("faults")
    (place / "mine.py").write_text(textwrap.dedent(FACTORY))
    preset = load_preset("smoke")
    spec = preset.with_overrides(
        model=f"{place}/mine.py:factory",
        device="cpu",
        threads=1,
        axes=tuple(map(parse_axis, ("t=2", "d=8:17:+1", "n=4", "b=1"))),
        variants=(parse_variant("nullspace"),),
        sampling=Sampling(warmup=1, min_samples=2, max_samples=2, block_seconds=1.0),
        preservation=replace(preset.preservation, enabled=False),
    )
    runner = Runner(Silent(), launch=Watched, silence=TIMEOUT)
    with Journal(place / "journal.jsonl") as journal:
        runner.run(make_units(make_plan(spec), []), journal, None)
    runner.close()
    records = read(place / "journal.jsonl")
    cells = {(r.d, r.variant): r for r in cells_of(records)}
    assert len(cells) == len(records) == 20
    return place, cells


def test_the_fifteen_innocent_cells_are_measured(swept: Any) -> None:
    _, cells = swept
    fine = {key for key, record in cells.items() if record.status == "ok"}

    assert fine == set(cells) - {(d, "nullspace") for d in EXPECTED}
    assert all(len(cells[key].samples) == 2 for key in fine)


@pytest.mark.parametrize("d", EXPECTED)
def test_the_row_of_each_fault_is_right(swept: Any, d: int) -> None:
    _, cells = swept
    status, reason = EXPECTED[d]

    assert cells[d, "nullspace"].status == status
    assert reason in cells[d, "nullspace"].reason


def test_a_crash_tells_its_last_words_and_the_line_of_python(swept: Any) -> None:
    _, cells = swept
    record = cells[13, "nullspace"]

    assert "about to fall | File" in record.reason
    assert "in segfault" in record.reason
    assert any("Fatal Python error: Segmentation fault" in line for line in record.last_lines)


def test_a_hanging_worker_is_dead_within_five_seconds_of_its_timeout(swept: Any) -> None:
    place, _ = swept
    began = (place / "loop-began").stat().st_mtime

    assert len(Watched.dead_at) == 1
    assert Watched.dead_at[0] - began < TIMEOUT + 5


def test_no_process_is_left_over(swept: Any) -> None:
    assert len(Watched.made) == 3  # the first, one after the segfault, one after the loop
    assert [pid for worker in Watched.made for pid in worker.leftovers] == []


def test_cells_of_a_block_share_a_session(swept: Any) -> None:
    _, cells = swept
    sessions = Counter(record.session for record in cells.values())

    assert cells[8, "sgd"].session == cells[8, "nullspace"].session
    # SGD was measured again in the worker that came after, and the fallen cell was not.
    assert cells[13, "sgd"].session != cells[13, "nullspace"].session
    assert sorted(sessions.values()) == [1] * 4 + [2] * 8

"""Peak memory of a call on this host, measured for real in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.timing import memory
from bench.timing.memory import Memory, peak_of

ROOT = Path(__file__).parents[3]
MIB = 2**20

CODE = """
import sys
from bench.timing import memory
if sys.argv[2] == "without":
    memory._reset_peak = lambda: False
def touch():
    buffer = bytearray(int(sys.argv[1]))
    for page in range(0, len(buffer), 4096):
        buffer[page] = 1
if sys.argv[3] == "after a larger one":
    buffer = bytearray(b"1") * (2 * int(sys.argv[1]))
    del buffer
found = memory.peak_of(touch, "cpu")
print(found.peak, found.note, sep="|")
"""


def measured(size: int, reset: str = "with", history: str = "fresh") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(size), reset, history],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout.strip().split("|")


@pytest.mark.parametrize("history", ["fresh", "after a larger one"])
def test_a_buffer_that_is_touched_is_the_peak(history: str) -> None:
    """Also where the process was once larger: without the reset the peak would be 0."""
    peak, note = measured(256 * MIB, history=history)

    assert int(peak) == pytest.approx(256 * MIB, rel=0.05)
    assert note == ""


def test_without_a_reset_a_new_highest_value_still_counts() -> None:
    # A child that is started by vfork inherits the highest value of a large parent.
    large = bytearray(b"1") * (1024 * MIB)
    peak, note = measured(256 * MIB, "without")
    del large

    assert int(peak) == pytest.approx(256 * MIB, rel=0.05)
    assert note == ""


def test_without_a_reset_a_call_below_the_highest_value_is_unknown_and_says_why() -> None:
    peak, note = measured(64 * MIB, "without", "after a larger one")

    assert peak == "None"
    assert note.startswith("peak memory is not known: the system does not let")


def test_memory_of_torch_counts_and_what_was_there_before_does_not() -> None:
    before = torch.ones(64 * MIB // 4)
    peak = peak_of(lambda: torch.ones(128 * MIB // 4).sum(), "cpu").peak

    assert before.sum() > 0
    assert peak == pytest.approx(128 * MIB, rel=0.1)


def test_the_facts_of_a_record() -> None:
    assert Memory(1, 2).facts() == {
        "peak_memory_bytes": 1,
        "reserved_memory_bytes": 2,
        "memory_note": "",
    }


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_allocated_and_reserved_less_what_was_there() -> None:
    keep = torch.ones(32 * MIB, dtype=torch.uint8, device="cuda")
    found = peak_of(lambda: torch.ones(100 * MIB, dtype=torch.uint8, device="cuda"), "cuda")

    assert keep.sum() > 0
    assert found.peak == pytest.approx(100 * MIB, abs=MIB)
    assert found.reserved is not None
    assert 100 * MIB <= found.reserved <= 128 * MIB
    assert memory.peak_of(lambda: None, "cuda").peak == 0

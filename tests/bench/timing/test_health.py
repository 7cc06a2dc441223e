"""Flags on injected readings and samples; no sample is ever taken away."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bench.timing.machine_state import Health, cpu_reading, gpu_reader, gpu_reading, sample_flags

GPU = {"sm_mhz": 1400, "temperature_c": 60, "throttling": [], "foreign_processes": 0}
CPU = {"load": 1.0, "cpu_mhz": 3000.0}


def health(*changes: dict[str, Any]) -> Health:
    """Readings a second apart, each the usual one with changes."""
    now = iter(range(100))
    machine = iter(changes)
    found = Health(gpu=lambda: {**GPU, **next(machine)}, cpu=lambda: CPU, now=lambda: next(now))
    for _ in changes:
        found.read(at_once=True)
    return found


def test_a_healthy_machine_has_no_flags() -> None:
    found = health({}, {"sm_mhz": 1380}, {})

    assert found.flags() == []
    assert found.facts()["sm_mhz"] == [1380, 1400]
    assert found.facts()["cpu_mhz"] == [3000.0, 3000.0]
    assert found.facts()["throttling"] == []


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"throttling": ["power cap"]}, "GPU throttled: power cap"),
        ({"sm_mhz": 1000}, "GPU clock between 1000 and 1400 MHz"),
        ({"cpu_mhz": 2000.0}, "CPU clock between 2000 and 3000 MHz"),
        ({"foreign_processes": 2}, "others on the GPU: 2 processes"),
    ],
)
def test_each_condition_raises_its_own_flag(change: dict[str, Any], flag: str) -> None:
    assert health({}, change, {}).flags() == [flag]


def test_what_cannot_be_told_raises_no_flag() -> None:
    unknown = dict.fromkeys(["sm_mhz", "temperature_c", "foreign_processes", "cpu_mhz", "load"])
    found = health({**unknown}, {**unknown})

    assert found.flags() == []
    assert found.facts() == {"throttling": []}


def test_readings_are_a_second_apart_unless_asked_for_at_once() -> None:
    times = iter([0.0, 0.0, 0.4, 0.9, 1.0, 1.0, 1.2, 1.2])
    found = Health(cpu=lambda: dict(CPU), now=lambda: next(times))
    for _ in range(4):  # at 0, 0.4, 0.9, 1
        found.read()
    assert len(found.readings) == 2
    found.read(at_once=True)
    assert len(found.readings) == 3


class FakeNvml:
    """NVML as far as it is asked; a function that is named in ``broken`` is not supported."""

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    class NVMLError(Exception):
        pass

    def __init__(self, reasons: int = 0, processes: int = 1, broken: tuple[str, ...] = ()) -> None:
        self._answers = {
            "nvmlDeviceGetClockInfo": 1410,
            "nvmlDeviceGetTemperature": 55,
            "nvmlDeviceGetCurrentClocksThrottleReasons": reasons,
            "nvmlDeviceGetComputeRunningProcesses": ["process"] * processes,
        }
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        def answer(handle: str, *_: int) -> Any:
            assert handle == "handle"
            if name in self._broken:
                raise self.NVMLError
            return self._answers[name]

        return answer


@pytest.mark.parametrize(
    ("reasons", "throttling"),
    [
        (0, []),
        (0x1 | 0x2, []),  # idle, and clocks the user has chosen
        (0x4, ["power cap"]),
        (0x8 | 0x40, ["hardware slowdown", "hardware thermal slowdown"]),
        (0x20 | 0x80, ["software thermal slowdown", "power brake"]),
    ],
)
def test_bits_of_the_driver(reasons: int, throttling: list[str]) -> None:
    reading = gpu_reading(FakeNvml(reasons, processes=3), "handle")
    assert reading == {
        "sm_mhz": 1410,
        "temperature_c": 55,
        "throttling": throttling,
        "foreign_processes": 2,
    }


def test_a_gpu_that_answers_nothing_is_not_an_error() -> None:
    names = ("ClockInfo", "Temperature", "CurrentClocksThrottleReasons", "ComputeRunningProcesses")
    reading = gpu_reading(FakeNvml(broken=tuple(f"nvmlDeviceGet{n}" for n in names)), "handle")
    assert reading == {
        "sm_mhz": None,
        "temperature_c": None,
        "throttling": [],
        "foreign_processes": None,
    }


def test_this_machine_can_be_read() -> None:
    reading = cpu_reading()
    assert reading.keys() == {"load", "cpu_mhz"}
    assert reading["load"] is None or reading["load"] >= 0
    assert gpu_reader("cpu")() == {}


# Flags from the samples


def quiet(count: int = 30, noise: float = 0.01) -> list[float]:
    return list(np.exp(noise * np.random.default_rng(1).standard_normal(count)))


def flags_of(seconds: list[float]) -> list[str]:
    before = copy.copy(seconds)
    found = sample_flags(seconds)
    assert seconds == before
    return found


def test_quiet_samples_have_no_flags() -> None:
    assert flags_of(quiet()) == []


def test_first_sample_slow() -> None:
    assert flags_of([1.5, *quiet()]) == ["slow first sample: 50% above the others"]
    assert flags_of([2.0, *[1.0] * 6]) == ["slow first sample: 100% above the others"]
    assert flags_of([1.015, *[1.0] * 6]) == []  # too little to matter


@pytest.mark.parametrize("sign", [1, -1])
def test_drift(sign: int) -> None:
    ramp = np.exp(sign * 0.09 * np.arange(30) / 30)
    (flag,) = flags_of(list(ramp * quiet()))
    assert re.match(r"drift: \+[67]% from" if sign > 0 else "drift: -[67]% from", flag)


def test_two_modes() -> None:
    slow = np.random.default_rng(2).random(30) < 0.4
    slow[0] = False  # a slow first sample has a flag of its own
    (flag,) = flags_of(list(np.where(slow, 1.3, 1.0) * quiet()))
    share = round(100 * slow.mean())
    assert flag.startswith(f"two modes: {share}% of the samples are")


@pytest.mark.parametrize("seconds", [[], [1.0], [1.0, float("nan"), 1.0, 2.0], [0.0] * 20])
def test_samples_that_say_nothing(seconds: list[float]) -> None:
    assert sample_flags(seconds) == []


NOISES = {
    "normal": lambda rng, n: 0.05 * rng.standard_normal(n),
    "heavy tails": lambda rng, n: 0.05 * rng.standard_t(3, n),
    "flat": lambda rng, n: 0.05 * rng.random(n),
    "exponential": lambda rng, n: 0.05 * rng.exponential(size=n),
}


def shares(draw: Any, count: int) -> Iterator[float]:
    """How often each of the three flags is raised in 500 series."""
    rng = np.random.default_rng(4)
    found = [flag for _ in range(500) for flag in sample_flags(np.exp(draw(rng, count)).tolist())]
    return (sum(f.startswith(w) for f in found) / 500 for w in ("slow", "drift", "two modes"))


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("count", [7, 25])
def test_noise_alone_is_seldom_flagged(name: str, count: int) -> None:
    slow, drift, modes = shares(NOISES[name], count)
    assert slow <= (0.10 if count == 7 else 0.05)  # the largest of 7 comes first in 1 of 7
    assert drift <= 0.01
    assert modes <= 0.03


def test_modes_are_seen() -> None:
    def mixture(rng: np.random.Generator, count: int) -> Any:
        return np.where(rng.random(count) < 0.7, 0.0, 0.3) + 0.03 * rng.standard_normal(count)

    assert list(shares(mixture, 25))[2] >= 0.9

"""What the machine was like while a block was measured, and what its samples themselves betray.

Everything here ends in flags beside the samples. No sample is ever left out because of one.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau

Reading = dict[str, Any]
Reader = Callable[[], Reading]

READ_EVERY_S = 1.0
SLOWER_CLOCK = 0.9  # of the highest clock seen in the block
MATTERS = 0.02  # drift below this is not worth a flag
SURE = 1e-3  # p-value of a drift
FIRST_OUTLIER = 5.0  # robust standard deviations
MODE_GAP = 3.0  # empty stretch between two modes, in standard deviations within them
MODE_SHARE = 0.15
LEAST_FOR_MODES = 15

# What NVML's bits say slows a clock down; idle and user-chosen clocks are no throttling.
THROTTLING = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


def cpu_reading() -> Reading:
    """Load of the last minute and mean clock of the processors; None where it cannot be told."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    try:
        import psutil
    except ImportError:
        return {"load": load, "cpu_mhz": None}
    frequency = psutil.cpu_freq()
    return {"load": load, "cpu_mhz": frequency.current if frequency else None}


def gpu_reader(device: str) -> Reader:
    """A function that reads clocks, throttling and other processes of a GPU; {} without NVML."""
    if not device.startswith("cuda"):
        return dict
    try:
        import pynvml
    except ImportError:
        return dict
    pynvml.nvmlInit()
    uuid = torch.cuda.get_device_properties(device).uuid
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    return lambda: gpu_reading(pynvml, handle)


def gpu_reading(nvml: Any, handle: Any) -> Reading:
    """One reading of a GPU; entries it does not support are None.

    Of the processes all but one are foreign: a container does not show which one is ours.
    """

    def ask(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(handle, *arguments)
        except nvml.NVMLError:
            return None

    reasons = ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
    processes = ask(nvml.nvmlDeviceGetComputeRunningProcesses)
    return {
        "sm_mhz": ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
        "temperature_c": ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        "throttling": [name for bit, name in THROTTLING.items() if (reasons or 0) & bit],
        "foreign_processes": None if processes is None else max(len(processes) - 1, 0),
    }


@dataclass
class Health:
    """Readings in the course of a block, at most one a second; take them off the clock."""

    gpu: Reader = dict
    cpu: Reader = cpu_reading
    now: Callable[[], float] = time.monotonic
    readings: list[Reading] = field(default_factory=list)
    _last: float = -float("inf")

    def read(self, *, at_once: bool = False) -> None:
        """Take a reading if the last one is a second old."""
        if at_once or self.now() - self._last >= READ_EVERY_S:
            self._last = self.now()
            self.readings.append({**self.cpu(), **self.gpu()})

    def facts(self) -> dict[str, Any]:
        """Lowest and highest of every number, and the throttling seen; for the journal."""
        names = dict.fromkeys(name for reading in self.readings for name in reading)
        ranges = {name: [min(v), max(v)] for name in names if (v := self._known(name))}
        return {**ranges, **({"throttling": self._throttling()} if "throttling" in names else {})}

    def flags(self) -> list[str]:
        """A flag for each condition under which times do not mean what they seem to."""
        found = [f"GPU throttled: {reason}" for reason in self._throttling()]
        for name, what in (("cpu_mhz", "CPU"), ("sm_mhz", "GPU")):
            clocks = self._known(name)
            if clocks and min(clocks) < SLOWER_CLOCK * max(clocks):
                found.append(f"{what} clock between {min(clocks):.0f} and {max(clocks):.0f} MHz")
        if (foreign := max(self._known("foreign_processes"), default=0)) > 0:
            found.append(f"others on the GPU: {foreign:.0f} processes")
        return found

    def _known(self, name: str) -> list[float]:
        values = [reading.get(name) for reading in self.readings]
        return [v for v in values if isinstance(v, (int, float))]

    def _throttling(self) -> list[str]:
        seen = {reason for reading in self.readings for reason in reading.get("throttling", ())}
        return [name for name in THROTTLING.values() if name in seen]


def sample_flags(seconds: Sequence[float]) -> list[str]:
    """What the samples of a cell, in the order they were taken, say against their median."""
    values = np.asarray(seconds, dtype=float)
    if len(values) < 3 or not (np.isfinite(values) & (values > 0)).all():
        return []
    logs = np.log(values)
    return [flag for flag in (_slow_first(logs), _drift(logs), _two_modes(logs)) if flag]


def _slow_first(logs: Any) -> str:
    rest = logs[1:]
    excess = logs[0] - median(rest)
    if excess > MATTERS and excess > FIRST_OUTLIER * _robust_deviation(rest):
        return f"slow first sample: {np.expm1(excess):.0%} above the others"
    return ""


def _drift(logs: Any) -> str:
    """A monotone trend by Kendall's test that matters between the first and the last third."""
    third = len(logs) // 3
    change = np.median(logs[-third:]) - np.median(logs[:third])
    if abs(change) < MATTERS:
        return ""
    if kendalltau(np.arange(len(logs)), logs).pvalue > SURE:
        return ""
    return f"drift: {np.expm1(change):+.0%} from the first to the last third"


def _two_modes(logs: Any) -> str:
    """The split of the sorted samples that leaves the least scatter within its two parts."""
    if len(logs) < LEAST_FOR_MODES:
        return ""
    ordered = np.sort(logs)
    least = max(3, round(MODE_SHARE * len(ordered)))
    cuts = range(least, len(ordered) - least + 1)
    inside, cut = min((_inside(ordered, cut), cut) for cut in cuts)
    low, high = ordered[:cut], ordered[cut:]
    gap, apart = high[0] - low[-1], high.mean() - low.mean()
    if apart <= MATTERS or gap <= MODE_GAP * np.sqrt(inside / len(ordered)):
        return ""
    share = len(high) / len(ordered)
    return f"two modes: {share:.0%} of the samples are {np.expm1(apart):.0%} slower"


def _inside(ordered: Any, cut: int) -> float:
    """Sum of squares within the two parts of a cut."""
    parts = (ordered[:cut], ordered[cut:])
    return float(sum(part.var() * len(part) for part in parts))


def _robust_deviation(logs: Any) -> float:
    """1.4826 times the median absolute deviation: the standard deviation of normal samples."""
    return 1.4826 * float(np.median(np.abs(logs - np.median(logs))))

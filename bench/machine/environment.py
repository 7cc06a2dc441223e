"""The machine and software that a run is timed on.

Nothing here names the host or its user. Numbers that change by themselves (load, free memory) are
recorded where they help to explain a result.
"""

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.errors import SpecError
from bench.machine.benchmark_code import benchmark_key
from bench.machine.git import git
from bench.machine.version import CHECKOUT, project_version

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/version")
_GIT_TIMEOUT_S = 10.0


def describe(device: str) -> dict[str, Any]:
    """Everything about this process's surroundings that may move a time; flat, all JSON values.

    Entries that this machine cannot tell are None, and for ``cpu`` those of a GPU.

    Raises:
        SpecError: no such device here.
    """
    chosen = _device(device)
    return {
        "device": device,
        **_source(CHECKOUT),
        "benchmark_code": benchmark_key(CHECKOUT),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **_machine(),
        **_libraries(),
        **_flags(),
        **_gpu(chosen),
    }


def resolve_device(device: str) -> str:
    """What "auto" stands for: cuda where there is one, else cpu."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _device(device: str) -> torch.device:
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in {"cpu", "cuda"}:
        raise SpecError(f"expected the device to be cpu, cuda or cuda:N; got {device!r}")
    count = torch.cuda.device_count() if chosen.type == "cuda" else 1
    if (chosen.index or 0) >= count:
        raise SpecError(
            f"expected a device that is here; got {device!r}, and torch {torch.__version__} sees "
            f"{count} CUDA devices: write cpu, or install a CUDA build of torch and a driver"
        )
    return chosen


def _machine() -> dict[str, Any]:
    facts: dict[str, Any] = {
        "machine": platform.machine(),
        "cpu_model": _cpu_model(),
        "logical_cores": os.cpu_count(),
        "affinity_cores": _affinity_cores(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
    try:
        import psutil
    except ImportError:  # a machine without network may lack it; the rest is still worth having
        return facts | {"physical_cores": None, "memory_bytes": None, "not_installed": "psutil"}
    cores, memory = psutil.cpu_count(logical=False), psutil.virtual_memory().total
    return facts | {"physical_cores": cores, "memory_bytes": memory}


def _affinity_cores() -> int | None:
    """Cores this process may use; a container or ``taskset`` gives fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _cpu_model() -> str | None:
    if _CPUINFO.is_file():
        match = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(), re.MULTILINE)
        if match:
            return match.group(1).strip()
    return platform.processor() or None


def _libraries() -> dict[str, Any]:
    build, threads = torch.__config__.show(), torch.__config__.parallel_info()
    backends: Any = torch.backends  # partly untyped
    return {
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "blas": _first(r"BLAS_INFO=(\w+)", build),
        "mkl": backends.mkl.is_available(),
        "mkldnn": backends.mkldnn.is_available(),
        "torch_threads": torch.get_num_threads(),
        "torch_interop_threads": torch.get_num_interop_threads(),
        "openmp_threads": _count(r"omp_get_max_threads\(\) : (\d+)", threads),
        "mkl_threads": _count(r"mkl_get_max_threads\(\) : (\d+)", threads),
    }


def _first(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1) if match else None


def _count(pattern: str, text: str) -> int | None:
    found = _first(pattern, text)
    return int(found) if found else None


def _flags() -> dict[str, Any]:
    cudnn: Any = torch.backends.cudnn
    mkldnn_matmul = getattr(torch.backends.mkldnn, "matmul", None)
    return {
        "tf32_matmul": _uses_tf32(torch.backends.cuda.matmul),
        "tf32_cudnn": _uses_tf32(getattr(cudnn, "conv", cudnn)),
        "cpu_matmul_precision": getattr(mkldnn_matmul, "fp32_precision", None),
        "cudnn_benchmark": cudnn.benchmark,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def _uses_tf32(backend: Any) -> bool:
    # From torch 2.9 on fp32_precision tells; allow_tf32 then raises if it was set that way.
    precision = getattr(backend, "fp32_precision", None)
    return bool(backend.allow_tf32) if precision is None else precision == "tf32"


def _gpu(device: torch.device) -> dict[str, Any]:
    if device.type == "cpu":
        names = ("gpu_name", "gpu_capability", "gpu_memory_bytes", "gpu_count", "driver", "cudnn")
        return dict.fromkeys(names)
    cudnn: Any = torch.backends.cudnn
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu_name": properties.name,
        "gpu_capability": f"{properties.major}.{properties.minor}",
        "gpu_memory_bytes": properties.total_memory,
        "gpu_count": torch.cuda.device_count(),
        "driver": _driver(),
        "cudnn": cudnn.version(),
    }


def _driver() -> str | None:
    """The NVIDIA driver's version, such as 580.159.03, from NVML or else from the kernel."""
    return _driver_from_nvml() or _driver_from_kernel()


def _driver_from_kernel() -> str | None:
    text = _NVIDIA.read_text() if _NVIDIA.is_file() else ""
    return _first(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", text)


def _driver_from_nvml() -> str | None:
    try:
        import pynvml
    except ImportError:  # the optional extra "cuda" brings it
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # a container without the library; the kernel may still tell
        return None
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def _source(root: Path) -> dict[str, Any]:
    """Version of the project, and of its source tree where that is a git checkout."""
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {
        "project_version": project_version(root),
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(changes),
    }


def _git(root: Path, *arguments: str) -> str | None:
    """What git answers about the checkout at ``root``; None without a checkout, git or answer."""
    # Only a .git of its own counts: an installed copy may lie inside somebody else's checkout.
    if not (root / ".git").exists():
        return None
    try:
        answer = git(root, *arguments, timeout=_GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None

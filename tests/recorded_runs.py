"""Run directories whose times are injected; nothing in them was measured."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.spec.preset import load_preset
from bench.storage.journal import Journal
from bench.storage.run_directory import open_run, write_environment

ENVIRONMENT = {"torch": "2.13.0", "cpu_model": "made up", "benchmark_code": "0123456789abcdef"}
VARIANTS = ("nullspace", "symmetry")
WIDTHS = (48, 128)
LABELS = [f"{variant} d={d}" for variant in VARIANTS for d in WIDTHS]


def record(label: str, factor: float, noise: random.Random, spread: float) -> dict[str, Any]:
    variant, _, width = label.partition(" d=")
    samples = [
        {
            "round": number,
            "clock": "wall",
            "seconds": 0.002 * factor * (1 + spread * noise.gauss(0, 1)),
            "prepare_s": 0.0005,
            "steps_s": 0.0015,
        }
        for number in range(30)
    ]
    point = {"t": 1, "d": int(width), "n": 16, "l": 3, "b": 1}
    setting = {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}
    return {
        "kind": "cell",
        "cell_id": label,
        "block_id": f"block d={width}",
        "method": variant,
        "variant": variant,
        "session": "",
        **point,
        **setting,
        "status": "ok",
        "reason": "",
        "steps_done": 1,
        "samples": samples,
        "flags": [],
    }


def run_directory(
    path: Path,
    factors: dict[str, float] | None = None,
    failed: tuple[str, ...] = (),
    absent: tuple[str, ...] = (),
    spread: float = 0.01,
    seed: int = 0,
    cache: str = "hot",
    **facts: Any,
) -> Path:
    """A run of ``LABELS``; some slower, some failed, some absent."""
    noise = random.Random(seed)
    spec = load_preset("smoke")
    spec = replace(spec, sampling=replace(spec.sampling, cache=cache))
    run = open_run(path, spec, "teleport-bench run", resume=False)
    write_environment(run, {**ENVIRONMENT, **facts})
    with Journal(run.journal) as journal:
        for label in LABELS:
            if label in absent:
                continue
            found = record(label, (factors or {}).get(label, 1.0), noise, spread)
            if label in failed:
                found |= {"status": "oom", "reason": "not enough memory", "samples": []}
            journal.append(found)
    return path

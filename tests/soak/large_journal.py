"""A made-up journal of any size: times follow a formula, nothing in it was measured."""

import json
import random
from pathlib import Path

AXES = ("t", "d", "n", "l", "b")
BASE = {"t": 8, "d": 512, "n": 32, "l": 3, "b": 8}


def write(
    path: Path, cells: int, rounds: int = 7, variants: int = 19, broken: float = 0.01
) -> Path:
    """Blocks of ``variants`` cells and sgd along the five axes, in several settings."""
    path.mkdir(parents=True, exist_ok=True)
    noise = random.Random(3)
    names = ["sgd", "nullspace", *(f"nullspace:tau={1 - i / 1000}" for i in range(1, variants))]
    with (path / "journal.jsonl").open("w", encoding="utf-8") as file:
        written = 0
        for number, point in enumerate(points()):
            for name in names:
                if written == cells:
                    return path
                record = cell(number, point, name, rounds, noise)
                if noise.random() < broken:
                    record |= {"status": "crashed", "reason": f"signal SIGSEGV: line {number}"}
                file.write(json.dumps(record) + "\n")
                written += 1
    return path


def points():
    """Distinct points without end: one axis after another, then the next setting."""
    setting = 0
    while True:
        place = {
            "model": f"mlp{setting}" if setting else "mlp",
            "dataset": "digits",
            "device": "cuda:0",
            "dtype": "float32",
        }
        yield {**BASE, **place}
        for axis in AXES:
            for level in range(1, 101):
                if level != BASE[axis]:
                    yield {**BASE, **place, axis: level}
        setting += 1


def cell(number, point, name, rounds, noise):
    step = 1e-4 * (1 + point["d"] / 128) * (1 + point["n"] / 32) * point["l"]
    factor = 1.0 if name == "sgd" else 3.0
    samples = []
    for index in range(rounds):
        steps = step * point["t"] * point["b"] * factor * noise.lognormvariate(0, 0.03)
        prepare = 0.0 if name == "sgd" else 9 * step * point["b"]
        sample = {"round": index, "clock": "wall", "seconds": steps + prepare}
        samples.append({**sample, "prepare_s": prepare, "steps_s": steps})
    return {
        "schema": 1,
        "kind": "cell",
        "block_id": f"{number:016x}",
        **point,
        "session": f"{number:012x}",
        "cell_id": f"{number:08x}-{name}",
        "method": name.split(":")[0],
        "variant": name,
        "status": "ok",
        "reason": "",
        "steps_done": point["t"] * point["b"],
        "guarantee": "EXACT_ON_BATCH",
        "null_dims": {"0.weight": None, "2.weight": [96], "4.weight": [96]},
        "samples": samples,
        "peak_memory_bytes": 12345678,
        "reserved_memory_bytes": 20000000,
        "memory_note": "",
        "operations": 123456789,
        "bytes": 23456789,
        "flags": [],
        "teleport_status": "DONE",
    }

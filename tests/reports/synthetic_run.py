"""A made-up run, for tests alone: its times follow formulas, nothing in it was measured."""

import json
import random
from pathlib import Path

from bench.storage.records import typed

BASE = {"t": 8, "d": 128, "n": 32, "l": 3, "b": 2}
LEVELS = {
    "t": [2, 4, 8, 16, 32],
    "d": [32, 64, 128, 256, 512],
    "n": [8, 16, 32, 64, 96],
    "l": [2, 3, 4, 6, 8],
    "b": [1, 2, 4, 8, 16],
}
VARIANTS = ["nullspace", "symmetry", "symmetry:published=true"]
ROUNDS = 7
SETTING = {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}
COMMAND = "teleport-bench run --preset synthetic"


def points():
    found = [BASE] + [
        {**BASE, axis: level} for axis in LEVELS for level in LEVELS[axis] if level != BASE[axis]
    ]
    return list(found)


def sgd_step(point):
    return 2e-4 * (0.4 + 0.6 * point["d"] / 128) * (0.7 + 0.3 * point["n"] / 32) * point["l"] / 3


def phases(variant, point):
    """Seconds of prepare and of the steps of one call."""
    work = sgd_step(point) * point["b"]
    if variant == "nullspace":
        return 9 * work, 2.8 * work * point["t"]
    if variant == "symmetry":
        return 4 * work, (14 + 30 * (point["d"] / 128) ** 1.4) * work * point["t"]
    return 5 * work, (40 + 40 * (point["d"] / 128) ** 1.7) * work * point["t"]


def samples(variant, point, noise):
    rows = []
    for number in range(ROUNDS):
        prepare, steps = (
            (0.0, sgd_step(point) * point["t"] * point["b"])
            if variant == "sgd"
            else phases(variant, point)
        )
        prepare, steps = (
            prepare * noise.lognormvariate(0, 0.03),
            steps * noise.lognormvariate(0, 0.03),
        )
        total = prepare + steps
        row = {"round": number, "clock": "wall", "seconds": total, "prepare_s": prepare}
        rows.append({**row, "steps_s": steps})
    return rows


def cell(variant, point, number, noise):
    block = f"block{number:011d}"
    return {
        "schema": 1,
        "kind": "cell",
        "cell_id": f"c{number:03d}{VARIANTS.index(variant) if variant in VARIANTS else 9:012d}",
        "block_id": block,
        "method": variant.split(":")[0],
        "variant": variant,
        **SETTING,
        **point,
        "status": "ok",
        "reason": "",
        "steps_done": point["t"] * point["b"],
        "guarantee": "EXACT_ON_BATCH",
        "null_dims": {"0.weight": None, "2.weight": [96], "4.weight": [96]},
        "samples": samples(variant, point, noise),
        "peak_memory_bytes": None,
        "operations": None,
        "bytes": None,
        "train_samples": 1438,
        "flags": [],
    }


def structs(records):
    """Records as a report reads them."""
    return [typed(record, number) for number, record in enumerate(records, 1)]


def cells():
    noise = random.Random(7)
    return [
        cell(variant, point, number, noise)
        for number, point in enumerate(points())
        for variant in ["sgd", *VARIANTS]
    ]


def broken(record, status, reason, keep_samples=False):
    return {
        **record,
        "status": status,
        "reason": reason,
        **({} if keep_samples else {"samples": []}),
    }


def find(records, variant, **levels):
    wanted = {**BASE, **levels}
    return next(
        index
        for index, record in enumerate(records)
        if record["kind"] == "cell"
        and record["variant"] == variant
        and all(record[axis] == wanted[axis] for axis in wanted)
    )


def preservation(variant, tau, drift, growth, start="init"):
    rows = []
    for step in range(9):
        moved = drift * step / 8
        rows.append(
            {
                "step": step,
                "loss": 2.3 * (1 + moved),
                "loss_float64": 2.3 * (1 + moved * 1e-3),
                "drift_float32": moved,
                "drift_float64": moved * 1e-3 if tau == 1.0 else moved * 0.98,
                "heldout_loss": 2.3 * (1 + 0.004 * step),
                "heldout_drift": 0.004 * step * (2 - tau),
                "grad_norm_sq": 0.5 * growth ** (step / 8),
                "preactivation_bound": drift if variant == "nullspace" else None,
                "preactivation_change": drift / 7 if variant == "nullspace" else None,
            }
        )
    return {
        "schema": 1,
        "kind": "preservation",
        "cell_id": f"p-{variant}-{tau}-{start}",
        "method": variant.split(":")[0],
        "variant": variant,
        **{name: SETTING[name] for name in ("model", "dataset", "dtype")},
        **{axis: BASE[axis] for axis in "tdnl"},
        "tau": tau,
        "lr": 0.02,
        "start": start,
        "status": "ok",
        "reason": "",
        "guarantee": "EXACT_ON_BATCH" if tau == 1.0 else "APPROXIMATE",
        "null_dims": {"0.weight": None, "2.weight": [96], "4.weight": [96]},
        "rows": rows,
    }


def spectrum(layer, position, rows, decay):
    return {
        "schema": 1,
        "kind": "spectrum",
        "cell_id": f"s-{position}",
        "model": "mlp",
        "dataset": "digits",
        "layer": layer,
        "position": position,
        "rows": rows,
        "columns": 32,
        "eigenvalues": [100.0 * decay**index for index in range(32)],
    }


def records():
    """3 variants and sgd on 5 axes of 5 levels; one cell ran out of memory, one is invalid."""
    found = cells()
    index = find(found, "symmetry:published=true", d=512)
    found[index] = broken(found[index], "oom", "not enough memory for [512, 512]")
    index = find(found, "symmetry", n=96)
    reason = "3 of 16 steps were carried out (NON_FINITE)"
    found[index] = broken(found[index], "invalid", reason, keep_samples=True)
    found += [
        preservation("nullspace", 1.0, 3e-7, 4.0),
        preservation("nullspace", 0.999, 2e-5, 9.0),
        preservation("nullspace", 0.99, 4e-3, 40.0),
        preservation("symmetry", 1.0, 8e-7, 4.0),
        spectrum("0.weight", 1, 64, 0.7),
        spectrum("2.weight", 2, 128, 0.6),
        spectrum("4.weight", 3, 128, 0.5),
    ]
    return found


def write(directory: Path, journal, *, spec=True, environment=True) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in journal)
    (directory / "journal.jsonl").write_text(lines, encoding="utf-8")
    if spec:
        base = "\n".join(f"{axis} = {level}" for axis, level in BASE.items())
        axes = "\n".join(f"{axis} = {levels}" for axis, levels in LEVELS.items())
        head = f'command = "{COMMAND}"\nmethods = {json.dumps(VARIANTS)}\n'
        text = f"{head}[base]\n{base}\n[axes]\n{axes}\n"
        (directory / "spec.toml").write_text(text, encoding="utf-8")
    if environment:
        facts = {"torch": "2.13.0", "cpu_model": "made up", "tf32": False, "flags": {"a": None}}
        (directory / "environment.json").write_text(json.dumps(facts), encoding="utf-8")
    return directory

"""What the worker says of the cells of one point, measured once in this process."""

from dataclasses import asdict
from typing import Any

from bench.plan.points import Point
from bench.spec.sampling import Sampling
from bench.worker.block import run_block


def finished_cells(point: Point, variants: list[str], *, bias: bool) -> dict[str, dict[str, Any]]:
    """The "cell" event of each variant."""
    events: list[dict[str, Any]] = []
    command = {
        "block_id": "b",
        "point": asdict(point),
        "cells": [{"cell_id": variant, "variant": variant} for variant in variants],
        "sampling": asdict(Sampling(warmup=0, min_samples=1, max_samples=1)),
        "seed": 0,
        "bias": bias,
        "data_dir": None,
        "threads": 0,
    }
    run_block(command, events.append)
    return {event["cell_id"]: event for event in events if event["event"] == "cell"}

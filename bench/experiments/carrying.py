"""Carry experiments out in each of the settings that a claim has to be tried in."""

import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import BinaryIO

import torch
from msgspec.json import encode

from bench.claims.ledger import Finding

Experiment = Callable[[torch.dtype, int], Finding]

# What refutes or reproduces a claim does so in both precisions and for another seed.
SETTINGS = {
    "float64": (torch.float64, 0),
    "float64, another seed": (torch.float64, 1),
    "float32": (torch.float32, 0),
}


def experiment(name: str) -> Experiment:
    """The function of a name such as ``null_space:outputs_stay``."""
    module, _, function = name.partition(":")
    found: Experiment = getattr(import_module(f"bench.experiments.{module}"), function)
    return found


def carry_out(names: Sequence[str], out: BinaryIO) -> None:
    """Every experiment in every setting, on one thread: the networks are too small for more."""
    torch.set_num_threads(1)
    for name in names:
        begun = time.perf_counter()
        findings: dict[str, Finding] = {}
        for setting, (dtype, seed) in SETTINGS.items():
            with warnings.catch_warnings(), torch.random.fork_rng():
                warnings.simplefilter("ignore")
                torch.manual_seed(seed)
                findings[setting] = experiment(name)(dtype, seed)
        seconds = time.perf_counter() - begun
        out.write(encode({"experiment": name, "seconds": seconds, "findings": findings}) + b"\n")
        out.flush()

"""One model through one teleport: what came of it, what it cost, what it left behind."""

import contextlib
import random
import statistics
import time
import warnings
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import numpy as np
import torch
from case import Build, loss_fn, numbers
from memory_counting import peak_bytes
from torch import Tensor, nn

import teleport_core
from teleport_core import Guarantee, Status, TeleportError

STEPS = 4
# lr is one of these over ||g||, the next where outputs did not stay.
FACTORS = (1e-4, 1e-10)
EXACT = 1e-9
# A call under the profiler of memory costs as much again.
MOST_SECONDS_TO_REPEAT = 8.0


@dataclass
class Row:
    """One line; costs in SGD steps, memory over an SGD step's, growth as a share of ||g||^2."""

    library: str = ""
    model: str = ""
    outcome: str = ""
    sentence: str = ""
    status: str = ""
    drift: float = nan
    growth: float = nan
    step: float = nan
    prepare: float = nan
    call: float = nan
    memory: float = nan
    sgd_ms: float = nan
    factor: float = nan
    faults: str = ""


class Traces:
    """Everything a call must leave as it was, the weights themselves apart."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.slots = self._slots()
        self.buffers = [b.clone() for b in model.buffers()]
        self.modes = [module.training for module in model.modules()]
        self.wanted = [p.requires_grad for p in model.parameters()]
        self.marked = next(model.parameters())
        self.marked.grad = torch.full_like(self.marked, 0.25)
        self.generators = self._generators()

    def _slots(self) -> list[tuple[str, int, type]]:
        """Which object stands in which place, under every name."""
        return [
            (f"{path}.{name}", id(value), type(value))
            for path, module in self.model.named_modules(remove_duplicate=False)
            for kept in (module._parameters, module._buffers)
            for name, value in kept.items()
        ]

    @staticmethod
    def _generators() -> list[Any]:
        numpy_state = np.random.get_state()
        return [torch.get_rng_state().tolist(), random.getstate(), str(numpy_state)]

    def faults(self) -> list[str]:
        """What is no longer as it was."""
        gradients = [p.grad for p in self.model.parameters()]
        marked = self.marked.grad
        left = {
            "objects": self._slots() == self.slots,
            "buffers": all(map(_same, self.model.buffers(), self.buffers)),
            "modes": [module.training for module in self.model.modules()] == self.modes,
            "requires_grad": [p.requires_grad for p in self.model.parameters()] == self.wanted,
            "grad": marked is not None
            and bool((marked == 0.25).all())
            and all(g is None or g is marked for g in gradients),
            "generators": self._generators() == self.generators,
            "grad mode": torch.is_grad_enabled(),
        }
        return [name for name, right in left.items() if not right]


def _same(now: Tensor, before: Tensor) -> bool:
    if now.shape != before.shape:
        return False
    return bool(((now == before) | (now.isnan() & before.isnan())).all())


def run_model(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def outputs(model: nn.Module, inputs: Any) -> list[Tensor]:
    """What the model says now; batch norm's statistics end as they began."""
    kept = [b.clone() for b in model.buffers()]
    with torch.no_grad():
        found = [leaf.clone() for leaf in numbers(run_model(model, inputs))]
        for buffer, value in zip(model.buffers(), kept, strict=True):
            buffer.copy_(value)
    return found


def drift(before: list[Tensor], after: list[Tensor]) -> float:
    """||o' - o|| / ||o||, of several outputs the largest; places where both are infinite agree."""
    worst = 0.0
    for old, new in zip(before, after, strict=True):
        off = torch.where(old == new, torch.zeros_like(old), new - old)
        size = torch.where(old.isfinite(), old, torch.zeros_like(old)).norm()
        share = float(off.norm() / size) if size else float(off.norm())
        worst = max(worst, inf if share != share else share)
    return worst


def sgd_step(model: nn.Module, inputs: Any) -> None:
    """Forward, backward and an update by nothing."""
    loss_fn(run_model(model, inputs), None).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-0.0)
    model.zero_grad(set_to_none=True)


def gradient_norm(model: nn.Module, inputs: Any) -> float:
    loss_fn(run_model(model, inputs), None).backward()
    total = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)
    model.zero_grad(set_to_none=True)
    return float(total**0.5)


def seconds_of(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def trial(name: str, build: Build) -> Row:
    """Run one model; whatever it raises by itself is the row's outcome, too."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    row = Row(model=name)
    try:
        model, inputs = build()
        model = model.double().train("(train)" in name)
        norm = gradient_norm(model, inputs)
        sgd = statistics.median(seconds_of(lambda: sgd_step(model, inputs)) for _ in range(3))
        before = outputs(model, inputs)
        again = drift(before, outputs(model, inputs))
        sgd_peak = peak_bytes(lambda: sgd_step(model, inputs))
    except Exception as error:
        row.outcome, row.sentence = "fails by itself", f"{type(error).__name__}: {error}"
        return row
    if not norm or again > EXACT:
        row.outcome = "fails by itself"
        row.sentence = "no gradient" if not norm else "two forward passes differ"
        return row
    row.sgd_ms = 1e3 * sgd
    values = [p.detach().clone() for p in model.parameters()]
    for factor in FACTORS:
        row.factor = factor
        _teleport(row, model, inputs, factor / norm, before, sgd_peak)
        if row.outcome != "approximate":
            return row
        row.sentence += f"{factor:g}/||g||: {row.status}, drift {row.drift:.1e}. "
        _put_back(model, values)
    return row


def _put_back(model: nn.Module, values: list[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)


def _teleport(
    row: Row, model: nn.Module, inputs: Any, lr: float, before: list[Tensor], sgd_peak: int
) -> None:
    parameters = list(model.parameters())
    values = [p.detach().clone() for p in parameters]
    traces = Traces(model)
    sgd = row.sgd_ms / 1e3

    def call() -> Any:
        return teleport_core.teleport(model, loss_fn, (inputs, None), lr=lr, steps=STEPS)

    start = time.perf_counter()
    try:
        result = call()
    except Exception as error:
        known = isinstance(error, TeleportError)
        row.outcome, row.sentence = "refused" if known else "raw", f"{error}"
        if not known:
            row.sentence = f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            row.outcome = "memory"
        faults = traces.faults()
        if not all(map(torch.equal, parameters, values)):
            faults.append("values")
        row.faults = ", ".join(faults)
        return
    spent = time.perf_counter() - start
    faults = traces.faults()
    row.status = result.status.name
    row.call, row.prepare = spent / sgd, result.seconds.prepare / sgd
    if result.steps_done:
        row.step = result.seconds.steps / result.steps_done / sgd
    row.drift = drift(before, outputs(model, inputs))
    row.growth = result.grad_norm_sq[-1] / result.grad_norm_sq[0] - 1
    row.outcome = _outcome(result, row.drift, row.growth)
    if result.guarantee is Guarantee.EXACT_ON_BATCH and not row.drift <= EXACT:
        faults.append("promise")
    row.faults = ", ".join(dict.fromkeys([*row.faults.split(", "), *faults])).strip(", ")
    traces.marked.grad = None
    if row.outcome != "approximate" and spent <= MOST_SECONDS_TO_REPEAT:
        _put_back(model, values)
        with contextlib.suppress(MemoryError, RuntimeError):  # the profiler's own
            row.memory = peak_bytes(call) / sgd_peak


def _outcome(result: Any, drifted: float, growth: float) -> str:
    if result.status is Status.NO_NULL_SPACE:
        return "no null space"
    if result.status is Status.NO_ASCENT_DIRECTION:
        return "no ascent"
    if result.guarantee is Guarantee.EXACT_ON_BATCH and drifted <= EXACT:
        return "exact" if growth > 0 else "no growth"
    return "approximate"

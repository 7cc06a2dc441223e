"""Which defect is found with which ``verify``; docs/verification.md has the same table."""

import itertools
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from deceiving_models import Forces, Listed
from oracles import identical, snapshot
from small_problems import classification, regression
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import (
    Guarantee,
    ModelError,
    OptionError,
    Problem,
    ProblemError,
    Status,
    TeleportError,
    TeleportWarning,
    make,
    teleport,
)
from teleport_core.verification.reference import look

PAGE = Path(__file__).parents[3] / "docs" / "verification.md"
LEVELS = ("full", "outputs", "off")


def smooth(output: Tensor, _targets: None) -> Tensor:
    return output.square().mean() + output.sin().mean()


def made(build: Callable[[], nn.Module], loss: Any = smooth, targets: Any = None) -> Problem:
    torch.manual_seed(0)
    return Problem(build().double(), loss, torch.randn(5, 6, dtype=torch.float64), targets)


class Remembers(nn.Module):
    """Adds a little with every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 3))
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        output: Tensor = self.net(x) * (1 + 1e-3 * self.passes)
        return output


class TiresLate(Remembers):
    """Another one from the third pass on, when the steps are done."""

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        output: Tensor = self.net(x) * (1.0 if self.passes < 3 else 1.5)
        return output


class Drops(Remembers):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.net(x), 0.5, training=True)


def body() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 3)
    )


def nan_loss(output: Tensor, _: None) -> Tensor:
    return output.sum() * math.nan


def decayed() -> Problem:
    problem = made(body)
    weights = [*problem.model.parameters()]

    def loss(output: Tensor, targets: None) -> Tensor:
        return smooth(output, targets) + 0.05 * sum(w.square().sum() for w in weights)

    return Problem(problem.model, loss, problem.inputs, None)


# Defect -> problem, options, what is found with each setting: an error, a status, "" for nothing.
DEFECTS: dict[str, tuple[Callable[[], Problem], dict[str, Any], tuple[Any, Any, Any]]] = {
    "a weight is used where the method cannot see it, and outputs change": (
        lambda: made(Forces), {"engine": "textbook"},
        (Status.OUTPUTS_CHANGED, Status.OUTPUTS_CHANGED, ""),
    ),
    "a weight is used where the method cannot see it: another gradient": (
        lambda: made(Listed), {"engine": "textbook"}, (ModelError, Status.OUTPUTS_CHANGED, ""),
    ),
    "the loss reads parameters": (decayed, {}, (ModelError, "", "")),
    "the model remembers its passes": (lambda: made(Remembers), {}, (ModelError, ModelError, "")),
    "the model remembers its passes, later": (
        lambda: made(TiresLate), {}, (ModelError, ModelError, ""),
    ),
    "the model draws random numbers": (
        lambda: made(Drops), {}, (ModelError, ModelError, ModelError),
    ),
    "labels out of range": (
        lambda: made(body, F.cross_entropy, torch.tensor([0, 1, 2, 3, 9])), {},
        (ProblemError, ProblemError, ProblemError),
    ),
    "targets of another shape": (
        lambda: made(body, F.cross_entropy, torch.zeros(4, dtype=torch.int64)), {},
        (ProblemError, ProblemError, ProblemError),
    ),
    "the loss is NaN at the start": (
        lambda: made(body, nan_loss), {}, (ProblemError, ProblemError, Status.NON_FINITE),
    ),
    "a step leads to infinity": (
        lambda: regression([6, 9, 9, 2], 4, nn.Softplus), {"lr": 1e200},
        (Status.NON_FINITE, Status.NON_FINITE, Status.NON_FINITE),
    ),
    "a step so long that rounding shows in the outputs": (
        lambda: classification([20, 16, 12, 5], 8, dtype=torch.float32), {"lr": 1e8, "steps": 1},
        (Status.OUTPUTS_CHANGED, Status.OUTPUTS_CHANGED, ""),
    ),
}  # fmt: skip


def outcome(problem: Problem, **options: Any) -> Any:
    before = snapshot(problem)
    batch = (problem.inputs, problem.targets)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TeleportWarning)
            result = teleport(problem.model, problem.loss_fn, batch, **options)
    except TeleportError as error:
        assert identical(problem, before)
        return type(error)
    return "" if result.status is Status.DONE else result.status


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("defect", DEFECTS)
def test_what_is_found(defect: str, level: str) -> None:
    build, options, found = DEFECTS[defect]
    given = {"lr": 0.5, "steps": 3} | options
    assert outcome(build(), verify=level, **given) == found[LEVELS.index(level)]


def test_the_page_has_this_table() -> None:
    def word(found: Any) -> str:
        if isinstance(found, Status):
            return f"`{found.name}`"
        return f"`{found.__name__}`" if found else "no"

    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
    table = {defect: tuple(words) for defect, *words in rows}
    for defect, (_, _, found) in DEFECTS.items():
        assert table[defect] == tuple(map(word, found)), defect


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("options", [{}, {"engine": "textbook"}, {"method": "symmetry"}])
def test_the_steps_are_the_same_and_what_nobody_saw_is_nan(
    options: dict[str, Any], level: str
) -> None:
    kind = nn.LeakyReLU
    problem, other = (classification([20, 16, 12, 5], 8, kind) for _ in range(2))
    first = look(problem)
    given = {"lr": 0.01, "steps": 4} | options

    result = teleport(
        problem.model, problem.loss_fn, (problem.inputs, problem.targets), verify=level, **given
    )
    teleport(other.model, other.loss_fn, (other.inputs, other.targets), **given)

    assert identical(other, snapshot(problem))
    last = look(problem)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.loss[0] == pytest.approx(first.loss, rel=1e-12)
    assert len(result.loss) == len(result.grad_norm_sq) == 5
    assert math.isnan(result.loss[-1]) == math.isnan(result.output_change) == (level == "off")
    kept_pass = not options
    if level == "full" or kept_pass:
        assert result.grad_norm_sq[-1] == pytest.approx(last.grad_norm_sq, rel=1e-9)
    else:
        assert math.isnan(result.grad_norm_sq[-1])


@pytest.mark.parametrize("level", ["full", "outputs"])
def test_a_method_that_computes_no_loss_gets_the_models(level: str) -> None:
    problem = made(body)
    result = teleport(
        problem.model, smooth, (problem.inputs, None), method="identity", steps=2, verify=level
    )
    first = float(problem.loss().detach())
    assert (result.loss[0], result.loss[-1]) == (first, first)
    assert math.isnan(result.loss[1])


class Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.passes = body(), 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        output: Tensor = self.body(x)
        return output


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, 3),
        ({"verify": "outputs"}, 3),
        ({"verify": "off"}, 1),
        ({"cap": 1e-9}, 1),
        ({"cap": 1e-9, "verify": "off"}, 1),
    ],
)
def test_passes_of_the_model(options: dict[str, Any], passes: int) -> None:
    problem = made(Counted)
    result = teleport(problem.model, smooth, (problem.inputs, None), lr=0.01, **options)
    assert problem.model.passes == passes
    assert result.status is (Status.CAPPED if "cap" in options else Status.DONE)


def test_a_call_that_stands_at_its_cap_asks_nothing_of_the_method() -> None:
    problem = made(body)
    before, seen = snapshot(problem), look(problem)

    result = teleport(problem.model, smooth, (problem.inputs, None), cap=seen.grad_norm_sq)

    assert (result.status, result.steps_done) == (Status.CAPPED, 0)
    assert (result.loss, result.grad_norm_sq) == ([seen.loss], [seen.grad_norm_sq])
    assert (result.output_change, result.seconds[:2]) == (0.0, (0.0, 0.0))
    assert result.engine.name == "none"
    assert identical(problem, before)
    above = teleport(problem.model, smooth, (problem.inputs, None), cap=1.01 * seen.grad_norm_sq)
    assert above.steps_done > 0


def test_who_does_not_test_the_models_own_norm_is_asked_all_the_same() -> None:
    stands = {
        name: make(method, cap=1.0, **options).stands_at_cap(2.0)
        for name, method, options in (
            ("nullspace", "nullspace", {}),
            ("symmetry", "symmetry", {}),
            ("released code", "symmetry", {"published": True}),
            ("identity", "identity", {}),
        )
    }
    assert stands == {
        "nullspace": True, "symmetry": True, "released code": False, "identity": False,
    }  # fmt: skip


def test_the_three_times_add_up_to_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = map(float, itertools.count())
    module = __import__("importlib").import_module("teleport_core.teleport")
    read: list[float] = []

    def tick() -> float:
        read.append(next(clock))
        return read[-1]

    monkeypatch.setattr(module, "perf_counter", tick)
    monkeypatch.setattr(module, "wall_clock", lambda _: tick)
    problem = made(body)

    result = teleport(problem.model, smooth, (problem.inputs, None), lr=0.01)

    assert result.seconds.prepare == result.seconds.steps == 1.0
    assert sum(result.seconds) == read[-1] - read[0]


def test_another_setting_is_refused() -> None:
    with pytest.raises(OptionError, match="verify to be one of full, outputs, off; got 'none'"):
        teleport(body(), smooth, (torch.ones(2, 6), None), verify="none")


def test_a_result_is_written_as_json_has_it() -> None:
    import json

    problem = made(body)
    result = teleport(problem.model, smooth, (problem.inputs, None), lr=0.01, steps=2)

    plain = json.loads(json.dumps(result.to_dict()))

    assert plain["status"] == "DONE"
    assert plain["guarantee"] == "EXACT_ON_BATCH"
    assert plain["engine"]["name"] == "half_hvp"
    assert set(plain["seconds"]) == {"prepare", "steps", "checks"}
    assert plain["grad_norm_sq"] == result.grad_norm_sq
    assert set(plain) == {*vars(teleport_core.TeleportResult)["__dataclass_fields__"]}

"""Numbers of numpy and torch are numbers; what is refused is refused in words that are true."""

from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction
from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch
from oracles import identical, snapshot
from small_problems import classification

from teleport_core import OptionError, make, teleport

NUMBERS = {
    "steps": [np.int64(3), np.uint8(3), np.array(3), torch.tensor(3), torch.tensor(3).char()],
    "lr": [np.float32(0.5), np.float16(0.5), np.longdouble(0.5), torch.tensor(0.5), Fraction(1, 2)],
    "cap": [np.float64(4), np.int32(4), torch.tensor(4.0, requires_grad=True), Decimal(4)],
    "tau": [np.float32(0.75), torch.tensor(0.75), np.array(0.75), Fraction(3, 4)],
    "max_drift": [np.float32(0.25), torch.tensor(0.25).bfloat16()],
    "chunk_columns": [np.int16(7), torch.tensor(7)],
    "overshoot": [np.bool_(False), torch.tensor(False), np.array(False)],
    "engine": [np.str_("textbook")],
}  # fmt: skip
PLAIN = {
    "steps": 3,
    "lr": 0.5,
    "cap": 4.0,
    "tau": 0.75,
    "max_drift": 0.25,
    "chunk_columns": 7,
    "overshoot": False,
    "engine": "textbook",
}


@pytest.mark.parametrize("name", list(NUMBERS))
def test_numbers_of_numpy_and_torch_make_the_same_method(name: str) -> None:
    expected = make("nullspace", **{name: PLAIN[name]})
    for value in NUMBERS[name]:
        made = make("nullspace", **{name: value})
        assert made == expected
        assert type(asdict(made)[name]) is type(PLAIN[name])


def test_they_take_the_same_steps() -> None:
    plain = {"steps": 3, "lr": float(np.float32(0.3)), "cap": 50.0, "overshoot": False}
    theirs = {
        "steps": np.int64(3),
        "lr": np.float32(0.3),
        "cap": torch.tensor(50.0),
        "overshoot": np.bool_(False),
    }
    ends = []
    for options in (plain, theirs):
        problem = classification([20, 16, 12, 5], 8)
        batch = (problem.inputs, problem.targets)
        result = teleport(problem.model, problem.loss_fn, batch, **options)
        ends.append((result.grad_norm_sq, problem))
    assert ends[0][0] == ends[1][0]
    assert identical(ends[0][1], snapshot(ends[1][1]))


def test_those_of_the_baselines_too() -> None:
    made = make("symmetry", published=np.bool_(True), steps=np.int64(2), lr=np.float32(0.5))
    assert made == make("symmetry", published=True, steps=2, lr=0.5)
    assert make("identity", steps=torch.tensor(2)) == make("identity", steps=2)


COUNT, NUMBER, SWITCH = "a whole number >= 1", "a number > 0", "True or False"


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("steps", np.bool_(True), COUNT),
        ("steps", True, f"{COUNT}; got True (bool)"),
        ("steps", torch.tensor(True), f"{COUNT}; got tensor(True) (Tensor)"),
        ("steps", 3.0, f"{COUNT}; got 3.0 (float)"),
        ("steps", np.float64(3), COUNT),
        ("steps", torch.tensor(3.0), f"{COUNT}; got tensor(3.) (Tensor)"),
        ("steps", torch.tensor([3]), COUNT),
        ("steps", np.array([3]), COUNT),
        ("steps", np.int64(0), f"{COUNT}; got "),
        ("steps", "3", f"{COUNT}; got '3' (str)"),
        ("steps", None, COUNT),
        ("lr", np.bool_(True), NUMBER),
        ("lr", torch.tensor([0.5]), NUMBER),
        ("lr", np.array([0.5]), NUMBER),
        ("lr", torch.tensor(nan), NUMBER),
        ("lr", torch.tensor(0.5, device="meta"), NUMBER),
        ("lr", torch.tensor(1j), NUMBER),
        ("lr", 1j, NUMBER),
        ("cap", np.float32(-1), NUMBER),
        ("cap", "5", NUMBER),
        ("cap", -(10**400), NUMBER),
        ("tau", np.float32(1.5), "tau in (0, 1]"),
        ("tau", np.bool_(True), "tau in (0, 1]"),
        ("tau", "1", "tau in (0, 1]"),
        ("max_drift", np.bool_(True), NUMBER),
        ("overshoot", 1, f"{SWITCH}; got 1"),
        ("overshoot", np.int64(1), SWITCH),
        ("overshoot", torch.tensor([True]), SWITCH),
        ("engine", np.array(["auto", "textbook"]), "engine to be one of auto, "),
        ("engine", ["auto"], "engine to be one of auto, "),
        ("rank_rule", ["gpm"], "rank_rule to be one of "),
    ],
)
def test_what_is_no_such_number_is_refused(option: str, value: Any, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        make("nullspace", **{option: value})
    assert text in str(caught.value)


@pytest.mark.parametrize("method", [None, 3, ["nullspace"], {"nullspace": 1}])
def test_a_method_that_is_no_name_is_refused(method: Any) -> None:
    with pytest.raises(OptionError, match=r"expected method to be one of .*identity, .*nullspace"):
        make(method)


def test_a_cap_beyond_all_floats_is_none() -> None:
    assert make("nullspace", cap=10**400) == make("nullspace", cap=inf)

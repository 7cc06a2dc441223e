"""Marks of phases: seen in order by an observer, and nothing while nobody watches."""

import timeit

import pytest
import torch
from small_problems import classification
from torch import nn
from zoo import ZOO

from teleport_core import Problem, make
from teleport_core.phases import BACKWARD, FORWARD, Phase, observed


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def enter(self, name: str) -> None:
        self.heard.append(f"+{name}")

    def leave(self, name: str) -> None:
        self.heard.append(f"-{name}")


def test_nested_phases_are_told_in_order() -> None:
    listener = Listener()
    with FORWARD:
        pass
    with observed(listener), FORWARD, BACKWARD:
        pass
    with FORWARD:
        pass

    assert listener.heard == ["+forward", "+backward", "-backward", "-forward"]


def test_a_phase_that_raises_is_left_and_the_error_goes_on() -> None:
    listener = Listener()
    with pytest.raises(ZeroDivisionError), observed(listener), FORWARD:
        1 / 0  # noqa: B018

    assert listener.heard == ["+forward", "-forward"]
    with FORWARD:
        pass
    assert len(listener.heard) == 2


def test_a_second_observer_is_refused_and_the_first_goes_on() -> None:
    listener = Listener()
    with observed(listener):
        with (
            pytest.raises(RuntimeError, match="expected one observer of phases at a time"),
            observed(Listener()),
        ):
            pass
        with FORWARD:
            pass

    assert listener.heard == ["+forward", "-forward"]


METHODS = {
    "half_hvp": (
        ("nullspace", {"engine": "half_hvp"}),
        {"capture", "basis", "backward", "tangent", "projection", "update"},
    ),
    "traced convolutions": (
        ("nullspace", {}),
        {"capture", "basis", "backward", "tangent", "projection", "update"},
    ),
    "traced attention": (
        ("nullspace", {}),
        {"capture", "basis", "backward", "tangent", "projection", "update"},
    ),
    "textbook convolutions": (
        ("nullspace", {"engine": "textbook"}),
        {"capture", "basis", "forward", "backward", "double backward", "projection", "update"},
    ),
    "textbook": (
        ("nullspace", {"engine": "textbook"}),
        {"capture", "basis", "forward", "backward", "double backward", "projection", "update"},
    ),
    "rescale": (("rescale", {}), {"capture", "backward", "update"}),
    "enorm": (("enorm", {}), {"capture", "backward", "update"}),
    "symmetry": (
        ("symmetry", {}),
        {"capture", "pseudo-inverse", "forward", "backward", "double backward", "update"},
    ),
    "symmetry published": (
        ("symmetry", {"published": True}),
        {"capture", "pseudo-inverse", "forward", "backward", "double backward", "update"},
    ),
    "activations solved": (
        ("symmetry", {"acts_on": "activations"}),
        {
            *("capture", "pseudo-inverse", "inverse", "forward", "backward", "double backward"),
            "update",
        },
    ),
    "activations": (
        ("symmetry", {"acts_on": "activations", "published": True}),
        {"capture", "pseudo-inverse", "forward", "backward", "double backward", "update"},
    ),
}


def problem(name: str) -> Problem:
    torch.manual_seed(0)
    if name.endswith("convolutions"):
        return ZOO["conv2d-pool"].build()
    if name.endswith("attention"):
        return ZOO["encoder-postnorm"].build()
    return classification([12, 10, 10, 3], 5, lambda: nn.LeakyReLU(0.1), bias=False)


def teleported(
    here: Problem, method: str, options: dict[str, object], listener: Listener | None
) -> list[float]:
    teleporter = make(method, **options, steps=2, lr=0.01)
    if listener is None:
        teleporter.advance(here, teleporter.prepare(here))
    else:
        with observed(listener):
            teleporter.advance(here, teleporter.prepare(here))
    return torch.cat([p.detach().reshape(-1) for p in here.model.parameters()]).tolist()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_marks_its_phases_and_watching_changes_no_bit(name: str) -> None:
    (method, options), wanted = METHODS[name]
    listener = Listener()

    watched = teleported(problem(name), method, dict(options), listener)

    assert watched == teleported(problem(name), method, dict(options), None)
    entered = [mark[1:] for mark in listener.heard if mark.startswith("+")]
    left = [mark[1:] for mark in listener.heard if mark.startswith("-")]
    assert wanted <= set(entered) <= wanted | {"check"}
    assert sorted(entered) == sorted(left)
    moved = torch.tensor(watched) - torch.tensor(
        torch.cat([p.detach().reshape(-1) for p in problem(name).model.parameters()]).tolist()
    )
    assert moved.abs().max() > 0


@pytest.mark.long
def test_a_mark_nobody_watches_costs_less_than_a_fifth_of_a_microsecond() -> None:
    """Half of that on an idle machine of 2020 or later; an engine's step takes hundreds."""
    mark = Phase("mark")

    def marked() -> None:
        for _ in range(1000):
            with mark:
                pass

    def bare() -> None:
        for _ in range(1000):
            pass

    seconds = min(timeit.repeat(marked, number=100)) - min(timeit.repeat(bare, number=100))

    assert seconds / 1e5 < 200e-9

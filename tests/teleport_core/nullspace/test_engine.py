"""Engines: the first that applies prepares, what it prepared climbs, nobody asks for its kind."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from small_problems import classification
from torch import nn
from torch.nn import functional as F

from teleport_core import ModelError, Problem, Status, make
from teleport_core.ascent import Ascent
from teleport_core.nullspace import teleporter
from teleport_core.nullspace.engine import Climb, Declined, EngineState
from teleport_core.results import Engine


@dataclass
class Toy(EngineState):
    """One step in a space of one dimension, noted down."""

    asked: list[Climb] = field(default_factory=list)

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        yield "1.weight", False, 1

    def something_moves(self) -> bool:
        return True

    def advance(self, problem: Problem, climb: Climb) -> Ascent:
        self.asked.append(climb)
        return Ascent(Status.DONE, 1, None, None, [1.0, 1.0], [2.0, 3.0])


class ForDeepModels:
    """Applies to models of many layers only."""

    def prepare(self, problem: Problem, climb: Climb) -> Toy | Declined:
        deep = len(list(problem.model.children())) > 5
        if not deep:
            return Declined("the model has few layers")
        return Toy(
            layers=["one"], held={"0.weight": "is first"}, engine=Engine("toy", "it is deep")
        )


def test_an_engine_of_its_own_is_asked_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teleporter, "_ORDER", (ForDeepModels(), *teleporter._ORDER))
    method = make("nullspace", steps=1, lr=0.5, cap=7.0)
    deep, flat = classification([5, 9, 8, 7, 4], 3), classification([5, 9, 4], 3)

    mine, other = method.prepare(deep), method.prepare(flat)
    result = method.advance(deep, mine)

    assert isinstance(mine, Toy)
    assert not isinstance(other, Toy)
    assert mine.asked == [Climb(lr=0.5, steps=1, cap=7.0)]
    assert (result.loss, result.grad_norm_sq) == ([1.0, 1.0], [2.0, 3.0])
    assert result.null_dims == {"1.weight": [1]}
    assert result.held == {"0.weight": "is first"}
    assert result.engine == ("toy", "it is deep")


def test_what_is_asked_by_default_is_what_the_method_asks_by_default() -> None:
    assert make("nullspace")._climb() == Climb()  # type: ignore[attr-defined]


def test_a_refusal_names_three_parameters_and_counts_the_others() -> None:
    model = nn.Sequential(*(nn.LayerNorm(6) for _ in range(4)))
    problem = Problem(model, F.cross_entropy, torch.randn(4, 6), torch.tensor([0, 1, 2, 0]))

    with pytest.raises(ModelError, match=r"; 1.weight is used in layer_norm; and 5 more: see tele"):
        make("nullspace").prepare(problem)

"""A unit that is killed and taken up again ends with the values of one that was not."""

import random
from pathlib import Path
from typing import Any

import pytest
from training_units import carried_out, commands, spec_of, values

from bench.trainer import steps
from bench.trainer.checkpoints import FOLDER

FACTORY = """
import torch
from torch import nn

def factory(n):
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(96, 12, generator=generator)
    targets = (inputs[:, 0] > 0).long()
    loader = [(inputs[k : k + n], targets[k : k + n]) for k in range(0, 96, n)]
    dropped = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Dropout(0.2))
    model = nn.Sequential(dropped, nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2))
    return model, nn.functional.cross_entropy, (loader, loader[:2])
"""


class KilledError(BaseException):
    """As if the process had ended."""


@pytest.fixture
def command(tmp_path: Path) -> dict[str, Any]:
    """Adam, dropout, a shuffled loader, teleports, and controls that do as the teleports did."""
    path = tmp_path / "factory.py"
    path.write_text(FACTORY)
    arms = ("nullspace:growth=2", "random", "lr-gain")
    spec = spec_of({"n": 16}, model=f"{path}:factory", arms=arms, evaluations=1)
    return commands(spec, tmp_path)[-1]


def until_killed(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch, moment: int
) -> list[dict[str, Any]]:
    """The records that were said before the ``moment``-th gradient was computed."""
    said: list[dict[str, Any]] = []
    left = [moment]
    backward = steps.backward

    def counting(*args: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KilledError
        backward(*args)

    with monkeypatch.context() as patched:
        patched.setattr(steps, "backward", counting)
        with pytest.raises(KilledError):
            carried_out(command, lambda m: said.append(m["record"]) if "record" in m else None)
    return said


def passes(command: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many gradients a unit computes."""
    count = [0]
    backward = steps.backward

    def counting(*args: Any) -> None:
        count[0] += 1
        backward(*args)

    with monkeypatch.context() as patched:
        patched.setattr(steps, "backward", counting)
        carried_out(command)
    return count[0]


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.long)])
def test_killed_at_any_moment_and_resumed_is_unbroken(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kills: int
) -> None:
    unbroken = values(carried_out(command))
    every = passes(command, monkeypatch)
    late = every - 20  # in the last epoch: teleports are over, what they cost is to be known still
    for moment in [late, *random.Random(kills).sample(range(1, every + 1), kills)]:
        said = until_killed(command, monkeypatch, moment)
        journal = said[: len(said) - moment % 4]  # what the runner had not read is lost with it
        done = {"done": [record["cell_id"] for record in journal]}

        rest = carried_out({**command, **done})

        assert values([*journal, *rest]) == unbroken
        assert not (tmp_path / FOLDER).exists()


def test_without_its_checkpoints_it_begins_again_and_ends_alike(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unbroken = values(carried_out(command))
    said = until_killed(command, monkeypatch, passes(command, monkeypatch) // 2)
    for path in (tmp_path / FOLDER).rglob("*.pt"):
        path.unlink()

    rest = carried_out({**command, "done": [record["cell_id"] for record in said]})

    assert values([*said, *rest]) == unbroken
    assert {record["interruptions"] for record in rest if record["kind"] == "training"} == {1}


def test_nothing_is_left_of_the_checkpoints(command: dict[str, Any], tmp_path: Path) -> None:
    carried_out(command)

    assert not (tmp_path / FOLDER).exists()


def test_a_state_that_is_not_taken_along_would_be_seen(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: Adam forgets its moments when it is taken up again."""
    unbroken = values(carried_out(command))
    said = until_killed(command, monkeypatch, passes(command, monkeypatch) // 2)
    from torch.optim import Adam

    monkeypatch.setattr(Adam, "load_state_dict", lambda self, state: None)

    rest = carried_out({**command, "done": [record["cell_id"] for record in said]})

    assert values([*said, *rest]) != unbroken

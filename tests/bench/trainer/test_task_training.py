"""Training on several tasks: directions, records, teleports, and a run that is taken up again."""

from pathlib import Path
from typing import Any

import pytest
import torch
from task_problems import two_heads
from training_units import carried_out, commands, judged, spec_of, values

from baselines.cost.combiners import cagrad, fairgrad, mean
from bench.trainer.tasks.direction import backward_by_task, combiner_for

FULL = "cost:gamma=1.0,optimizer_state=reuse,trigger=always"
CAGRAD = "plain:combiner=cagrad"
ARMS = (FULL, CAGRAD, "cost", "aa")


def unit(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"arms": ARMS, "combiner": "fairgrad", "schedule": "1:3"}
    settings |= {"lr_schedule": "step", "evaluations": 1} | changes
    base = {"d": 12, "n": 120, "l": 2, "b": 1}
    return commands(spec_of(base, model="digits_parity", **settings), tmp_path)[-1]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return carried_out(unit(tmp_path_factory.mktemp("unit")))


def gradients() -> tuple[torch.nn.Module, torch.Tensor, dict[str, list[torch.Tensor]]]:
    problem = two_heads()
    losses = problem.losses_of(problem.output())
    own = dict(problem.model.named_parameters())
    found: dict[str, list[torch.Tensor]] = {}
    for loss in losses:
        each = torch.autograd.grad(
            loss, [*own.values()], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for name, gradient in zip(own, each, strict=True):
            found.setdefault(name, []).append(gradient)
    return problem.model, losses, found


def test_the_mean_is_the_gradient_of_the_mean_loss() -> None:
    model, losses, _ = gradients()
    expected = torch.autograd.grad(losses.mean(), [*model.parameters()], retain_graph=True)

    backward_by_task(losses, model, combiner_for("mean"))

    for p, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient)


@pytest.mark.parametrize("combine", [fairgrad, cagrad])
def test_what_is_shared_follows_the_combiner_and_heads_their_own_task(combine: Any) -> None:
    model, losses, by_task = gradients()
    body = [name for name in by_task if name.startswith("body")]
    G = torch.stack([torch.cat([by_task[n][i].flatten() for n in body]) for i in (0, 1)])

    cosines = backward_by_task(losses, model, combiner_for(combine.__name__))

    grads = {name: p.grad for name, p in model.named_parameters()}
    flat = torch.cat([grads[name].flatten() for name in body])  # type: ignore[union-attr]
    torch.testing.assert_close(flat, combine(G))
    torch.testing.assert_close(grads["first.weight"], by_task["first.weight"][0] / 2)
    expected = [float(g @ mean(G) / g.norm() / mean(G).norm()) for g in G]
    assert cosines == pytest.approx(expected)


def test_records_have_what_becomes_of_each_task(records: list[dict[str, Any]]) -> None:
    first, *rest = judged(records, "plain")

    assert first["conflict_cosines"] is None
    for record in rest:
        assert len(record["conflict_cosines"]) == 2
        assert all(-1 <= cosine <= 1 for cosine in record["conflict_cosines"])
    for record in (first, *rest):
        assert record["train_loss"] == pytest.approx(sum(record["train_task_losses"]) / 2)
        assert record["test_loss"] == pytest.approx(sum(record["test_task_losses"]) / 2)
        assert record["test_metric"] == pytest.approx(sum(record["test_task_metrics"]) / 2)
    assert rest[-1]["test_task_losses"][0] < first["test_task_losses"][0]


def test_arms_differ_by_combiner_and_teleports_alone(records: list[dict[str, Any]]) -> None:
    assert judged(records, "aa") == judged(records, "plain")
    one, other = judged(records, "plain"), judged(records, CAGRAD)
    assert one[0] == other[0]
    assert one[1] != other[1]
    assert judged(records, FULL)[1] == one[1]  # the first teleport comes after that
    assert judged(records, FULL)[2] != one[2]


def test_teleports_keep_the_tasks_losses_or_wait_for_a_conflict(
    records: list[dict[str, Any]],
) -> None:
    moves, waiting = judged(records, FULL, "teleport"), judged(records, "cost", "teleport")

    assert [move["teleport_status"] for move in moves] == ["DONE", "DONE"]
    for move in moves:
        assert move["loss_after"] == pytest.approx(move["loss_before"], rel=1e-2)
        assert move["displacement"] > 0
        assert move["gradient_equivalents"] > 2 * 5  # steps, each 1 + 5 forward passes and back
    assert {move["teleport_status"] for move in waiting} == {"NO_CONFLICT"}
    assert {move["displacement"] for move in waiting} == {0}
    assert [r["train_loss"] for r in judged(records, "cost")] == [
        r["train_loss"] for r in judged(records, "plain")
    ]


class KilledError(BaseException):
    """As if the process had ended."""


def test_taken_up_before_a_teleport_it_ends_alike(tmp_path: Path) -> None:
    """The gradient of the last step is what the move is compared with."""
    command = unit(tmp_path, arms=(FULL,))
    unbroken = values(carried_out(command))
    said: list[dict[str, Any]] = []

    def until_the_second_epoch(message: dict[str, Any]) -> None:
        if message["event"] == "note" and any(r.get("epoch") == 2.0 for r in said):
            raise KilledError
        if message["event"] == "record":
            said.append(message["record"])

    with pytest.raises(KilledError):
        carried_out(command, until_the_second_epoch)
    rest = carried_out({**command, "done": [record["cell_id"] for record in said]})

    assert any(record["kind"] == "teleport" and record["epoch"] == 2 for record in rest)
    assert values([*said, *rest]) == unbroken

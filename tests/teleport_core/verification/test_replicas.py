"""A replica that moves alone is refused; one process on its own is served."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from oracles import identical, snapshot
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from teleport_core import Guarantee, ModelError, Problem, Status, teleport

LOSS = nn.CrossEntropyLoss()
SENTENCE = "teleport model.module with process_group=torch.distributed.group.WORLD"


@pytest.fixture
def process_group() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 3)
    )


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(5, 6), torch.randint(0, 3, (5,))


def refused(model: nn.Module) -> str:
    before = snapshot(Problem(model, LOSS, *batch()))
    with pytest.raises(ModelError) as caught:
        teleport(model, LOSS, batch())
    assert identical(Problem(model, LOSS, *batch()), before)
    return str(caught.value)


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize("options", [{}, {"find_unused_parameters": True}, {"static_graph": True}])
def test_a_lone_process_goes_on_as_without_a_wrapper(options: dict[str, Any], engine: str) -> None:
    plain, wrapped = net(), DistributedDataParallel(net(), **options)

    for model in (plain, wrapped):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        result = teleport(model, LOSS, batch(), lr=0.1, steps=2, engine=engine)
        assert (result.status, result.guarantee) == (Status.DONE, Guarantee.EXACT_ON_BATCH)
        for _ in range(2):
            optimizer.zero_grad()
            LOSS(model(batch()[0]), batch()[1]).backward()
            optimizer.step()

    for one, other in zip(plain.parameters(), wrapped.parameters(), strict=True):
        torch.testing.assert_close(one, other)


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.body, self.process_group = inner, SimpleNamespace(size=lambda: 2)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.body(x)
        return output


class FullyShardedDataParallel(Wrapped):
    """Torch's own needs an accelerator."""


class ShardedOurWay(FullyShardedDataParallel):
    """Trainers inherit from it."""


@pytest.mark.usefixtures("process_group")
def test_one_of_several_replicas_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = DistributedDataParallel(net())
    monkeypatch.setattr(model, "process_group", SimpleNamespace(size=lambda: 2))

    text = refused(model)

    assert "the model (DistributedDataParallel) is one of 2 replicas" in text
    assert text.endswith(SENTENCE)
    inside = refused(nn.Sequential(model, nn.Linear(3, 3)))
    assert inside.endswith("teleport 0.module with process_group=torch.distributed.group.WORLD")


@pytest.mark.parametrize("kind", [FullyShardedDataParallel, ShardedOurWay])
def test_a_share_of_a_model_is_refused(kind: type[Wrapped]) -> None:
    assert f"{kind.__name__}) is one of 2 replicas" in refused(kind(net()))


def test_another_module_with_a_process_group_is_not() -> None:
    model = Wrapped(net())
    result = teleport(model, LOSS, batch(), lr=0.1, steps=1)
    assert result.status is Status.DONE


@pytest.mark.usefixtures("process_group")
def test_parameters_spread_over_processes_are_refused() -> None:
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    model = net()
    fsdp.fully_shard(model)
    with pytest.raises(ModelError, match=r"0.weight is a DTensor.*before fully_shard"):
        teleport(model, LOSS, batch())

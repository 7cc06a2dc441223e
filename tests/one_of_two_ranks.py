"""One rank of two that train replicas of a model; run as ``one_of_two_ranks.py RANK STORE``."""

import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn

from teleport_core import ModelError, teleport


def main(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(0)
    body = [nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 3)]
    model = nn.parallel.DistributedDataParallel(nn.Sequential(*body))
    loss_fn = nn.CrossEntropyLoss()
    batch = torch.randn(5, 6), torch.randint(0, 3, (5,))
    before = flat(model)
    try:
        teleport(model, loss_fn, batch, lr=0.1, steps=4)
    except ModelError as error:
        print(error)
    print("unmoved", torch.equal(flat(model), before))
    result = teleport(model.module, loss_fn, batch, lr=0.1, steps=4)
    print(result.status.name, "moved", not torch.equal(flat(model), before), "as one", same(model))
    torch.manual_seed(rank)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_fn(model(torch.randn(5, 6)), torch.randint(0, 3, (5,))).backward()
    optimizer.step()
    print("trained as one", same(model))
    dist.destroy_process_group()


def flat(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def same(model: nn.Module) -> bool:
    mine = flat(model)
    first = mine.clone()
    dist.broadcast(first, 0)
    return torch.equal(first, mine)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

"""The ranks of a group; run as ``one_of_ranks.py CHECKS WORLD STORE``.

Each answers in JSON, in a file STORE.RANK; how they ended is printed.
"""

import copy
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.fsdp
from shard_checks import every_row, everything
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from teleport_core import Schedule, TeleportResult, teleport

ROWS = ((1, 3, 20), (5, 7))
LOSS = nn.CrossEntropyLoss(ignore_index=0)


def net() -> nn.Module:
    torch.manual_seed(0)
    body = [nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 3)]
    return nn.Sequential(*body).double()


def batch(rows: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(rows, 6, dtype=torch.float64), torch.randint(0, 3, (rows,))


def shard(rank: int, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    x, y = (one.split(sizes)[rank] for one in batch(sum(sizes)))
    return x, y


def values(model: nn.Module) -> list[Tensor]:
    return [one.detach().clone() for one in model.state_dict().values()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def words(said: Any) -> list[Any]:
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, said)
    return found


def told(model: nn.Module, call: Callable[[], Any]) -> dict[str, Any]:
    """What a refused call says, and whether the model is as before."""
    before = values(model)
    try:
        call()
    except Exception as error:
        text, name = str(error), type(error).__name__
    else:
        text, name = "", "nothing"
    return {"error": name, "text": text, "unmoved": equal(values(model), before)}


def exact(rank: int, sizes: tuple[int, ...], group: Any, **options: Any) -> dict[str, Any]:
    """Whether the ranks end where one process with the whole batch does, bit for bit."""
    start, model = net(), DistributedDataParallel(net(), process_group=group)
    options = {"lr": 0.1, "steps": 3} | options
    result = teleport(model, LOSS, shard(rank, sizes), process_group=group, **options)
    alone = net()
    reference = teleport(alone, LOSS, batch(sum(sizes)), process_group="local", **options)
    return {
        "as_one_process": equal(values(model.module), values(alone)),
        "same_result": figures(result) == figures(reference),
        "moved": not equal(values(alone), values(start)),
        "status": result.status.name,
    }


def figures(result: TeleportResult) -> tuple[Any, ...]:
    return result.status, result.loss, result.grad_norm_sq, result.null_dims, result.engine


def trained(rank: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Of a schedule on a wrapped model, and of a step of training after it."""
    model = DistributedDataParallel(net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = [shard(rank, sizes)]
    options = {"lr": 0.1, "steps": 2, "ranks": "sharded", "process_group": dist.group.WORLD}
    schedule = Schedule("nullspace", **options)
    results = schedule.before_epoch(0, model, LOSS, loader, optimizer)
    teleported = equal(values(net()), values(model.module))
    LOSS(model(loader[0][0]), loader[0][1]).backward()
    optimizer.step()
    first = words(values(model))[0]
    guarded = Schedule("nullspace", guard="lookahead", process_group=dist.group.WORLD)
    return {
        "status": results[0].status.name,
        "way": results[0].across.way,
        "moved": not teleported,
        "as_one": equal(values(model), first),
        "guard": told(model, lambda: guarded.before_epoch(0, model, LOSS, loader, optimizer)),
    }


def sharded(rank: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.distributed.fsdp import fully_shard

        model = net()
        fully_shard(model)
    x, _ = shard(rank, sizes)
    before = model(x).detach()
    text = ""
    try:
        teleport(model, LOSS, shard(rank, sizes), process_group=dist.group.WORLD)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    model(x).sum().backward()
    return {"text": text, "works": torch.equal(model(x).detach(), before)}


def failing(on: int, rank: int, sizes: tuple[int, ...], at: int, act: Callable[[], None]) -> Any:
    """A call in which one rank acts in a pass of the loss."""
    model, seen = net(), 0

    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        if rank == on and seen == at:
            act()
        loss: Tensor = LOSS(output, targets)
        return loss

    world = dist.group.WORLD
    return told(model, lambda: teleport(model, loss_fn, shard(rank, sizes), process_group=world))


def parted(rank: int, sizes: tuple[int, ...], factor: float) -> dict[str, Any]:
    """A call in which the loss of one rank is a little, or much, larger than that of the others."""
    model, scale = net(), factor if rank == 1 else 1.0
    results: list[TeleportResult] = []

    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = LOSS(output, targets) * scale
        return loss

    def call() -> None:
        options = {"lr": 0.1, "steps": 3, "process_group": dist.group.WORLD}
        results.append(teleport(model, loss_fn, shard(rank, sizes), **options))

    said = told(model, call)
    alone = net()
    teleport(alone, LOSS, batch(sum(sizes)), process_group="local", lr=0.1, steps=3)
    return said | {
        "as_the_first": equal(values(model), values(alone)),
        "loss": [one.loss for one in results],
    }


def bad(rank: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Everything in which one rank does not do as the others."""

    def call(model: nn.Module, batch: Any = None, **options: Any) -> dict[str, Any]:
        given = shard(rank, sizes) if batch is None else batch
        options = {"process_group": dist.group.WORLD} | options
        return told(model, lambda: teleport(model, LOSS, given, **options))

    other = copy.deepcopy(net())
    if rank == 1:
        with torch.no_grad():
            next(other.parameters())[0, 0].nextafter_(torch.tensor(torch.inf))
    x, y = shard(rank, sizes)
    nan = (x * torch.nan if rank == 2 else x), y
    normed = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).double()
    return {
        "nobody": call(net(), process_group=None),
        "nobody_wrapped": call(DistributedDataParallel(net()), process_group=None),
        "wrapped_local": call(DistributedDataParallel(net()), process_group="local"),
        "no_group": call(net(), process_group="locally"),
        "option": call(net(), lr=0.1 * (1 + rank)),
        "unknown_option": call(net(), **({"tua": 1} if rank == 1 else {})),
        "parameter": call(other),
        "nan": call(net(), nan),
        "rows": call(net(), (x, y[:0]) if rank == 1 else (x, y)),
        "batch_norm": call(normed, ranks="replicated"),
        "sync_batch_norm": call(nn.SyncBatchNorm.convert_sync_batchnorm(normed)),
        "forward": failing(1, rank, sizes, 1, raises),
        "other_loss": parted(rank, sizes, 1 + 1e-12),
        "later": failing(0, rank, sizes, 2, raises),
    }


def raises() -> None:
    raise ZeroDivisionError("planted")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def all_checks(rank: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    pair = dist.new_group([0, 1])
    world = dist.group.WORLD
    said = {
        "one": exact(rank, sizes, world),
        "textbook": exact(rank, sizes, world, engine="textbook"),
        "pair": exact(rank, ROWS[1], pair) if rank < 2 else {},
        "trained": trained(rank, sizes),
        "sharded": sharded(rank, sizes),
        "bad": bad(rank, sizes),
        "rounded": parted(rank, sizes, 1 + 4 * torch.finfo(torch.float64).eps),
    }
    return said | {"killed": failing(2, rank, sizes, 2, killed)}


def main(checks: str, rank: int, world: int, store: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=60),
    )
    said = {"all": lambda: all_checks(rank, ROWS[0]), "shards": everything, "rows": every_row}
    answer = json.dumps(said[checks]())
    Path(f"{store}.{rank}").write_text(answer)
    os._exit(0)  # a group of which one has gone cannot be left in order


def forked(run: Callable[[int], None], world: int) -> list[int]:
    """A process for each rank, so that torch is imported once; their ids."""
    pids = []
    for rank in range(world):
        pid = os.fork()
        if not pid:
            try:
                run(rank)
            finally:
                traceback.print_exc()
                os._exit(1)
        pids.append(pid)
    return pids


if __name__ == "__main__":
    checks, world, store = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    ended = [os.waitpid(p, 0)[1] for p in forked(lambda i: main(checks, i, world, store), world)]
    print(json.dumps([os.waitstatus_to_exitcode(status) for status in ended]))

"""What one rank of several finds out about calls that are sharded; answers for JSON."""

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from shard_rows import CE, ROWS, Experts, Pieces, Row, images, mlp, vectors
from torch import Tensor, nn

from teleport_core import OptionError, TeleportResult, teleport
from teleport_core.distributed import full, replicated
from teleport_core.distributed.fingerprint import values_of
from teleport_core.distributed.ranks import Ranks
from teleport_core.nullspace.ranks import shared
from teleport_core.nullspace.ranks.layer import SharedLayer


def made(row: Row, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    return row.model().to(dtype)


def batch(row: Row, rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, y = row.batch(rows)
    return x.to(dtype) if x.is_floating_point() else x, y


def parameters(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().double().flatten() for p in model.parameters()])


def ended(
    name: str, dtype: torch.dtype = torch.float64, *, local: bool = False, **options: Any
) -> dict[str, Any]:
    """Where the ranks end, beside one process that has all samples."""
    row, rank, world = ROWS[name], dist.get_rank(), dist.get_world_size()
    sizes, options = row.sizes[world], dict(row.options) | options
    x, y = batch(row, sum(sizes), dtype)
    part = x.split(sizes)[rank], y.split(sizes)[rank]
    start, model, other = (made(row, dtype) for _ in range(3))
    way = {"ranks": "auto" if name == "batch norm" else "sharded"}
    group: Any = "local" if local else dist.group.WORLD
    result = teleport(model, row.loss, part, process_group=group, **way, **options)
    whole = Pieces(other, sizes) if name == "batch norm" else other
    reference = teleport(whole, row.loss, (x, y), process_group="local", **options)
    moved = parameters(other) - parameters(start)
    return {
        "off": float((parameters(model) - parameters(other)).norm() / moved.norm()),
        "moved": float(moved.norm()),
        "same": [alike(result), alike(reference)],
        "norms": [result.grad_norm_sq, reference.grad_norm_sq],
        "bits": values_of(model.named_parameters()),
        "way": result.across.way,
        "engine": result.engine,
        "said": [result.loss, result.grad_norm_sq, result.output_change],
    }


def alike(result: TeleportResult) -> list[Any]:
    dims = {name.removeprefix("model."): free for name, free in result.null_dims.items()}
    return [result.status.name, result.steps_done, dims, result.guarantee.name]


class Lone:
    """A rank that hears nobody."""

    size, rank = 1, 0

    def words(self, what: str, *numbers: float) -> list[list[float]]:
        del what
        return [list(numbers)]

    def sum(self, what: str, tensors: list[Tensor]) -> list[Tensor]:
        del what
        return tensors

    def gather(self, what: str, tensors: list[Tensor], rows: Any) -> list[Tensor]:
        del what, rows
        return tensors

    def same(self, *facts: Any) -> None:
        del facts


def _own_rows(ranks: Ranks, what: str, tensors: Any, rows: Any) -> list[Tensor]:
    found = GATHER(ranks, what, tensors, rows)
    return list(tensors) if what.startswith("rows") else found


GATHER = Ranks.gather
SPACES = shared.spaces_of
# What a sharded call would get wrong: a patch, by what it leaves out.
WRONG: dict[str, Callable[[], Any]] = {
    "weights": lambda: mock.patch.object(replicated, "divisor", return_value=1.0),
    "bases": lambda: mock.patch.object(
        shared,
        "spaces_of",
        lambda _, *given: SPACES(Lone(), *given),  # type: ignore[arg-type]
    ),
    "gradients": lambda: mock.patch.object(shared.Shared, "summed", lambda _, own, __: own),
    "rows": lambda: mock.patch.object(Ranks, "gather", _own_rows),
}


def spoiled() -> dict[str, float]:
    """How far each mistake leads on the tied model, and ranks that teleport alone."""
    found = {"alone": ended("tied", local=True)["off"]}
    for name, patch in WRONG.items():
        # Each rank may have bases of its own then: nobody holds them to each other.
        with patch(), mock.patch.object(Ranks, "same", Lone.same):
            found[name] = ended("tied", verify="off")["off"]
    return found


def rounded() -> dict[str, Any]:
    """A rank whose updates have other last bits, as by another number of threads."""
    write = SharedLayer.write

    def off(self: SharedLayer, update: Tensor, length: float) -> None:
        write(self, update * (1 + 4 * torch.finfo(update.dtype).eps), length)

    if dist.get_rank() != 1:
        return ended("mlp")
    with mock.patch.object(SharedLayer, "write", off):
        return ended("mlp")


def refused() -> dict[str, str]:
    """What a call that cannot be sharded says."""
    row = ROWS["mlp"]
    sizes = row.sizes[dist.get_world_size()]
    rank = dist.get_rank()
    whole = batch(row, sum(sizes), torch.float64)
    (x, y), first = (one.split(sizes)[rank] for one in whole), int(whole[1][0])

    def contrast(output: Tensor, targets: Tensor) -> Tensor:
        own = torch.arange(len(output)) + 0 * targets
        return nn.functional.cross_entropy(output @ output.T, own)

    def text(model: nn.Module, loss: Any = row.loss, **options: Any) -> str:
        before = values_of(model.named_parameters())
        options = {"ranks": "sharded", "process_group": dist.group.WORLD} | options
        try:
            teleport(model, loss, (x, y), **options)
        except Exception as error:
            moved = "" if values_of(model.named_parameters()) == before else "moved: "
            return f"{moved}{type(error).__name__}: {error}"
        return "nothing"

    net = made(row, torch.float64)
    normed = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.Linear(30, 4)).double()
    return {
        "contrastive": text(net, contrast),
        "tau": text(net, tau=0.9),
        "method": text(net, method="rescale"),
        "replicated": text(normed, ranks="replicated"),
        "coupled": text(normed, contrast, ranks="auto"),
        "sync": text(nn.SyncBatchNorm.convert_sync_batchnorm(normed)),
        "unknown": text(net, ranks="shard"),
        "ignored": text(net, nn.CrossEntropyLoss(ignore_index=first)),
    }


def experts() -> dict[str, Any]:
    """A mixture of experts, of which the only sample of a rank sees one."""
    rank = dist.get_rank()
    torch.manual_seed(2)
    x, y = torch.randn(8, 6).double(), torch.randint(0, 4, (8,))
    sizes = (1, 3, 4)
    part = x.split(sizes)[rank], y.split(sizes)[rank]
    found: dict[str, Any] = {}
    for ranks in ("auto", "sharded"):
        torch.manual_seed(0)
        model = Experts().double()
        before = values_of(model.named_parameters())
        try:
            options = {"lr": 0.1, "steps": 2, "ranks": ranks}
            teleport(model, CE, part, process_group=dist.group.WORLD, **options)
            found[ranks] = "moved"
        except Exception as error:
            found[ranks] = f"{type(error).__name__}: {error}"
        found[f"{ranks} moved"] = values_of(model.named_parameters()) != before
    return found


def spread() -> dict[str, Any]:
    """A model of ``fully_shard``: gathered, moved, written back; training goes on."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from torch.distributed.tensor import DTensor

    row = ROWS["encoder"]
    rank, world = dist.get_rank(), dist.get_world_size()
    sizes = row.sizes[world]
    x, y = batch(row, sum(sizes), torch.float64)
    part = x.split(sizes)[rank], y.split(sizes)[rank]
    model, other = made(row, torch.float64), made(row, torch.float64)
    fully_shard(model[0])
    fully_shard(model)
    seen: list[int] = []
    model[0].register_forward_hook(lambda *_: seen.append(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    same = [*model.parameters()]
    model(part[0])  # leaves some parameters gathered
    seen.clear()
    options = {"lr": 0.02, "steps": 2}
    with full(model) as whole:
        teleport(whole, row.loss, part, process_group=dist.group.WORLD, **options)
    hooked, kind = len(seen), type(whole).__name__
    teleport(other, row.loss, (x, y), process_group="local", **options)
    off = distance(same, other)
    with suppress(OptionError), full(model) as whole:
        next(whole.parameters()).data.zero_()
        teleport(whole, row.loss, part, process_group=dist.group.WORLD, lr=-1)
    kept = distance(same, other)
    before = float(row.loss(model(part[0]), part[1]).detach())
    expected = float(row.loss(other(part[0]), part[1]).detach())
    row.loss(model(part[0]), part[1]).backward()
    optimizer.step()
    half = nn.Sequential(nn.Linear(4, 4))
    fully_shard(half, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    return {
        "off": off,
        "kept": kept,
        "hooked": hooked > 0,
        "kind": kind,
        "loss": abs(before - expected),
        "trained": abs(float(row.loss(model(part[0]), part[1]).detach()) - before) > 1e-9,
        "spread": all(isinstance(p, DTensor) for p in same),
        "plain": said(other),
        "half": said(half),
    }


def distance(spread: list[Any], other: nn.Module) -> float:
    pairs = zip(spread, other.parameters(), strict=True)
    return max(float((p.full_tensor() - q).detach().abs().max()) for p, q in pairs)


def said(model: nn.Module) -> str:
    try:
        with full(model):
            return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def rows(names: list[str]) -> dict[str, Any]:
    """In float64 and, where it is asked for, in float32."""
    found = {}
    for name in names:
        row, _, short = name.partition(":")
        found[name] = ended(row, torch.float32 if short else torch.float64)
    return found


def every_row() -> dict[str, Any]:
    return {"rows": rows([f"{row}{short}" for row in ROWS for short in ("", ":float32")])}


def everything() -> dict[str, Any]:
    return {
        "rows": rows(["mlp", "mlp:float32", "thin and dense", "cap", "encoder", "batch norm"]),
        "spoiled": spoiled(),
        "rounded": rounded(),
        "refused": refused(),
        "experts": experts(),
        "volume": volume(),
        "spread": spread(),
    }


def volume() -> dict[str, Any]:
    """Numbers and bytes that steps of a call bring, as the call counts them and as sockets do."""
    found: dict[str, Any] = {}
    for name, row in WIDE.items():
        counted, bytes_, sockets = [], [], []
        for steps in (1, 5):
            sizes = row.sizes[dist.get_world_size()]
            x, y = batch(row, sum(sizes), torch.float64)
            part = x.split(sizes)[dist.get_rank()], y.split(sizes)[dist.get_rank()]
            dist.barrier()
            before = received()
            options = {"lr": 1e-3, "steps": steps, "verify": "off"}
            result = teleport(
                made(row, torch.float64), row.loss, part,
                process_group=dist.group.WORLD, ranks="sharded", **options,
            )  # fmt: skip
            sockets.append(received() - before)
            counted.append(result.across.floats)
            bytes_.append(result.across.bytes)
        found[name] = {
            "floats": (counted[1] - counted[0]) / 4,
            "bytes": (bytes_[1] - bytes_[0]) / 4,
            "sockets": (sockets[1] - sockets[0]) / 4,
        }
    return found


def of_patches() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 24, 3), nn.Tanh(), nn.Conv2d(24, 64, 3), nn.Flatten())


WIDE = {
    "thin": Row(lambda: mlp(40, 256, 192, 10), vectors(40), {3: (20, 20, 20)}),
    "mixed": Row(lambda: mlp(20, 128, 512, 4), vectors(20), {3: (20, 20, 10)}),
    "dense": Row(of_patches, images, {3: (1, 2, 3)}),
}


def received() -> int:
    """Bytes that arrived at this process's TCP sockets, by the kernel's own count."""
    total = 0
    for file in [*Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):
            if str(file.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(file.name))) as one:
                    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                    total += struct.unpack_from("<Q", info, 128)[0]
    return total

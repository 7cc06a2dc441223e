"""Gradient checkpointing: the numbers of the model without it, and nothing is computed again."""

import copy
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from oracles import snapshot
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import checkpoint as checkpointing
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from teleport_core import Guarantee, ModelError, Problem, Status, teleport, torch_private
from teleport_core.torch_private import without_checkpoints

ENGINES: list[dict[str, Any]] = [
    {}, {"engine": "textbook"}, {"tau": 0.9}, {"max_drift": 1e-3},
    {"engine": "textbook", "cap": 2.2, "overshoot": False, "steps": 40},
]  # fmt: skip
NOISE = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
BATCH = (NOISE.double(), torch.tensor([0, 1, 2, 0]))

Run = Callable[[nn.Module, Tensor], Tensor]


class Thrifty(nn.Module):
    """``run`` runs the block in the middle, ``whole`` everything."""

    def __init__(self, run: Run, whole: Run | None = None) -> None:
        super().__init__()
        self.a, self.c = nn.Linear(6, 30), nn.Linear(30, 3)
        self.m = nn.Sequential(nn.Linear(30, 36), nn.BatchNorm1d(36), nn.GELU(), nn.Linear(36, 30))
        self.run, self.whole = run, whole

    def body(self, x: Tensor) -> Tensor:
        return self.c(torch.tanh(self.run(self.m, torch.tanh(self.a(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) if self.whole is None else self.whole(self.body, x)


def plainly(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)


def selective(module: nn.Module, x: Tensor) -> Tensor:
    keep = [torch.ops.aten.addmm.default]
    contexts = lambda: checkpointing.create_selective_checkpoint_contexts(keep)  # noqa: E731
    return checkpoint(module, x, use_reentrant=False, context_fn=contexts)


def anew(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(module, x, use_reentrant=False)


def reentrant(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(module, x, use_reentrant=True)


def in_pieces(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint_sequential(module, 2, x, use_reentrant=False)


WAYS: dict[str, tuple[Run, Run | None]] = {
    "not reentrant": (anew, None),
    "reentrant": (reentrant, None),
    "in pieces": (in_pieces, None),
    "selective": (selective, None),
    "whole": (plainly, anew),
    "whole, reentrant": (plainly, reentrant),
    "nested": (anew, anew),
}


def run(way: tuple[Run, Run | None], options: dict[str, Any]) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model = Thrifty(*way).double()
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    result = teleport(model, F.cross_entropy, BATCH, **{"steps": 4, "lr": 1e-4} | options)
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert all(p.grad is None for p in model.parameters())
    return model, result


@pytest.mark.parametrize("options", ENGINES, ids=str)
@pytest.mark.parametrize("name", WAYS)
def test_numbers_are_those_of_the_plain_model(name: str, options: dict[str, Any]) -> None:
    plain, expected = run((plainly, None), options)

    model, result = run(WAYS[name], options)

    assert result.status is expected.status
    assert result.held == expected.held
    assert result.grad_norm_sq == pytest.approx(expected.grad_norm_sq, rel=1e-12, nan_ok=True)
    for value, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-12)


def test_every_layer_of_a_checkpointed_block_moves() -> None:
    _, result = run((anew, None), {})

    assert result.status is Status.DONE
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert {"m.0.weight", "m.3.weight", "c.weight"} <= result.null_dims.keys()


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
def test_of_transformers_too() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=24, n_positions=8, n_embd=12, n_layer=2, n_head=2, bos_token_id=0,
        eos_token_id=0, embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0, use_cache=False,
    )  # fmt: skip
    torch.manual_seed(0)
    plain = GPT2LMHeadModel(config).double().train()
    thrifty = copy.deepcopy(plain)
    thrifty.gradient_checkpointing_enable()
    tokens = torch.randint(0, 24, (1, 6))

    def loss(output: Any, targets: Tensor) -> Tensor:
        return F.cross_entropy(output["logits"].flatten(0, 1), targets.flatten())

    norms = [
        teleport(model, loss, ({"input_ids": tokens}, tokens), lr=1e-3, steps=2).grad_norm_sq
        for model in (plain, thrifty)
    ]
    assert norms[1] == pytest.approx(norms[0], rel=1e-12)


class ByHand(torch.autograd.Function):
    """Checkpointing as libraries have it that are older than torch's."""

    @staticmethod
    def forward(ctx: Any, module: nn.Module, x: Tensor) -> Tensor:
        ctx.module, ctx.x = module, x.detach()
        with torch.no_grad():
            return module(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x = ctx.x.requires_grad_(True)
        with torch.enable_grad():
            ctx.module(x).backward(gradients[0])
        return None, x.grad


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("options", [*ENGINES, {"method": "identity"}], ids=str)
def test_by_hand_it_is_refused_and_no_gradient_is_left_behind(
    filled: bool, options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    model = Thrifty(ByHand.apply).double()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if filled else None
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]

    with pytest.raises(ModelError, match=r"own writes m\.0\.weight\.grad, as .*checkpointing by"):
        teleport(model, F.cross_entropy, BATCH, **options)

    grads = [p.grad for p in model.parameters()]
    assert [g is None for g in grads] == [g is None for g in before]
    assert all(torch.equal(g, b) for g, b in zip(grads, before, strict=True) if g is not None)


def test_torch_computes_again_as_before_afterwards_also_where_a_call_fails() -> None:
    def fails(module: nn.Module, x: Tensor) -> Tensor:
        raise RuntimeError("out of memory, say")

    torch.manual_seed(0)
    model, calls = Thrifty(anew).double(), []
    model.m.register_forward_pre_hook(lambda *_: calls.append(1))
    problem = Problem(model, F.cross_entropy, *BATCH)
    before = snapshot(problem)
    problem.loss().backward()
    assert len(calls) == 1
    with pytest.raises(RuntimeError, match="out of memory"):
        Problem(Thrifty(fails).double(), F.cross_entropy, *BATCH).output()
    F.cross_entropy(model(BATCH[0]), BATCH[1]).backward()
    assert len(calls) == 3
    assert not torch.equal(model.m[1].running_mean, before["m.1.running_mean"])


def test_a_pass_that_an_interrupt_never_ended_ends_with_its_frame() -> None:
    calls: list[int] = []
    x = torch.ones(2, requires_grad=True)

    def counted(x: Tensor) -> Tensor:
        calls.append(1)
        return x.sin()

    def run_both() -> None:
        for use_reentrant in (True, False):
            checkpoint(counted, x, use_reentrant=use_reentrant).sum().backward()

    own = (checkpointing.CheckpointFunction, checkpointing._checkpoint_hook)
    held = torch_private._Pass()
    torch_private._passes.add(held)
    torch_private._set_checkpoints(torch_private._Reentrant, torch_private._hook_or_none)
    run_both()
    assert len(calls) == 2
    del held
    run_both()
    assert len(calls) == 6
    with without_checkpoints():
        run_both()
    assert len(calls) == 8
    assert (checkpointing.CheckpointFunction, checkpointing._checkpoint_hook) == own


def test_two_threads_leave_torch_as_it_was() -> None:
    own = (checkpointing.CheckpointFunction, checkpointing._checkpoint_hook)
    inside, first_left = Barrier(2), Barrier(2)
    still_plain: list[bool] = []

    def first() -> None:
        with without_checkpoints():
            inside.wait(5)
        first_left.wait(5)

    def second() -> None:
        with without_checkpoints():
            inside.wait(5)
            first_left.wait(5)
            still_plain.append(checkpointing.CheckpointFunction is not own[0])

    threads = [Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert still_plain == [True]
    assert (checkpointing.CheckpointFunction, checkpointing._checkpoint_hook) == own

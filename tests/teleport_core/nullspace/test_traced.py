"""The engine for any module: memory, dtypes, what is left behind after failures."""

import copy
import warnings
from typing import Any

import pytest
import torch
from memory_counting import peak_bytes
from oracles import identical, output_change, snapshot
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import GroupedResidual, build, images
from zoo_problem import noise

import teleport_core
from teleport_core import Guarantee, ModelError, Problem, Status, make
from teleport_core.nullspace.engine import Climb
from teleport_core.nullspace.traced import engine, moving
from teleport_core.objectives.gradient import gradient_at


def encoder() -> Problem:
    layer = nn.TransformerEncoderLayer(
        64, 4, 256, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
    )
    model = nn.Sequential(
        nn.Linear(8, 64), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        nn.Linear(64, 8),
    )  # fmt: skip
    return Problem(model, F.mse_loss, torch.randn(8, 48, 8), torch.randn(8, 48, 8))


def network() -> Problem:
    return images(GroupedResidual(), 16, 2, 33)


def sgd_step(problem: Problem) -> None:
    parameters = list(problem.model.parameters())
    gradients = torch.autograd.grad(problem.loss(), parameters)
    with torch.no_grad():
        torch._foreach_add_(parameters, gradients, alpha=-1e-9)


@pytest.mark.parametrize("make_problem", [encoder, network])
def test_a_call_holds_at_most_four_times_what_an_sgd_step_holds(make_problem: Any) -> None:
    torch.manual_seed(0)
    problem = make_problem()
    teleporter = make("nullspace", steps=2, lr=1e-9)

    sgd = peak_bytes(lambda: sgd_step(problem))
    whole = peak_bytes(lambda: teleporter.advance(problem, teleporter.prepare(problem)))

    assert whole <= 4 * sgd


def test_an_exception_in_the_middle_of_the_steps_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = build("mlp-mixer")
    before, teleporter = snapshot(problem), make("nullspace", steps=8, lr=0.1)
    state = teleporter.prepare(problem)
    taken, update = 0, moving.free_update

    def fails_later(*arguments: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken > 3 * len(state.moving) + 1:
            assert not identical(problem, before)
            raise RuntimeError("out of memory, say")
        return update(*arguments)

    monkeypatch.setattr(moving, "free_update", fails_later)
    with pytest.raises(RuntimeError, match="out of memory"):
        teleporter.advance(problem, state)
    assert identical(problem, before)


def test_the_gradient_norm_is_that_of_all_parameters() -> None:
    for name in ("causal-decoder-tied", "lstm", "transposed-conv2d-groups", "shared-layers"):
        problem = build(name)
        state = engine.prepare(problem, Climb())
        leaves = {k: v.clone().requires_grad_(True) for k, v in problem.detached().items()}
        _, gradient = gradient_at(problem, leaves, problem.counted(), differentiable=False)
        expected = sum(float(g.square().sum()) for g in gradient.values())
        assert state.kept.gradients() == pytest.approx(expected, rel=1e-12)


def test_cap_stops_before_the_step() -> None:
    problem = build("mlp-mixer")
    free = make("nullspace", steps=8, lr=0.1)
    norms = free.advance(build("mlp-mixer"), free.prepare(build("mlp-mixer"))).grad_norm_sq
    capped = make("nullspace", steps=8, lr=0.1, cap=(norms[3] + norms[4]) / 2)

    result = capped.advance(problem, capped.prepare(problem))

    assert result.status is Status.CAPPED
    assert result.steps_done == 4


@pytest.mark.parametrize(("dtype", "drift"), [(torch.bfloat16, 0.05), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", ["mlp-mixer", "lstm"])
def test_models_of_less_precision_keep_their_outputs_to_rounding(
    name: str, dtype: torch.dtype, drift: float
) -> None:
    problem = build(name)
    model, inputs = problem.model.to(dtype), problem.inputs.to(dtype)
    before = model(inputs).detach().float()

    batch = (inputs, problem.targets)
    result = teleport_core.teleport(model, problem.loss_fn, batch, lr=0.05)

    assert result.status is Status.DONE
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.grad_norm_sq[-1] > 1.01 * result.grad_norm_sq[0]
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert (model(inputs).float() - before).abs().max() < drift * before.abs().max()


def test_batch_norm_keeps_its_statistics_and_its_mode() -> None:
    problem = build("grouped-dilated-strided-batchnorm-residual")
    buffers = {k: v.clone() for k, v in problem.model.named_buffers()}
    teleport_core.teleport(
        problem.model, problem.loss_fn, (problem.inputs, problem.targets), lr=0.01
    )
    assert problem.model.training
    assert all(torch.equal(v, buffers[k]) for k, v in problem.model.named_buffers())


def test_hooks_of_the_user_are_called_and_none_is_left() -> None:
    problem = build("encoder-prenorm")
    counts = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in problem.model.modules()]
    make("nullspace").prepare(problem)
    after = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in problem.model.modules()]
    assert after == counts
    assert torch.backends.mha.get_fastpath_enabled()


def scripted(model: nn.Module) -> nn.Module:
    with warnings.catch_warnings():  # by the version of torch one of several kinds, or none
        warnings.filterwarnings("ignore", message=".*torch.jit.script")
        return torch.jit.script(model)


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


def in_place(model: nn.Module, part: nn.Module) -> nn.Module:
    part.compile(backend="eager")
    return model


def by_forward(model: nn.Module, part: nn.Module) -> nn.Module:
    part.forward = torch.compile(part.forward, backend="eager")
    return model


class Decorated(nn.Sequential):
    @torch.compile(backend="eager")
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


SEALED = {
    "scripted": (scripted, "the model is scripted or traced by torch.jit: teleport the model that"),
    "compiled": (compiled, "the model is compiled: teleport its _orig_mod"),
    "compiled part": (
        lambda model: nn.Sequential(compiled(model[0]), *model[1:]), "0 is compiled",
    ),
    "compiled in place": (lambda m: in_place(m, m), "the model is compiled: teleport it without"),
    "part compiled in place": (lambda m: in_place(m, m[2]), "; 2 is compiled: teleport it without"),
    "forward compiled": (lambda m: by_forward(m, m), "the model is compiled: teleport it without"),
    "part's forward compiled": (lambda m: by_forward(m, m[0]), "; 0 is compiled: teleport it"),
    "forward compiled in its class": (lambda m: Decorated(*m), "the model is compiled: teleport"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SEALED))
def test_models_that_cannot_be_watched_are_refused(name: str) -> None:
    seal, text = SEALED[name]
    plain = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3))
    before = copy.deepcopy(plain.state_dict())
    model = seal(plain)
    with pytest.raises(ModelError, match=text):
        teleport_core.teleport(
            model, F.cross_entropy, (torch.randn(4, 5), torch.tensor([0, 1, 2, 0]))
        )
    assert all(torch.equal(v, before[k]) for k, v in plain.state_dict().items())


class Undisturbed(nn.Sequential):
    @torch.compiler.disable
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def test_what_torch_compile_leaves_alone_is_watched() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3))
    model = Undisturbed(*copy.deepcopy(plain))
    model.compile(disable=True)
    batch = (torch.randn(4, 5), torch.tensor([0, 1, 2, 0]))
    norms = [teleport_core.teleport(m, F.cross_entropy, batch).grad_norm_sq for m in (model, plain)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 9), nn.LayerNorm(9), nn.Linear(9, 3))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layers(x).float()


def test_autocast_is_refused() -> None:
    batch = (torch.randn(4, 5), torch.tensor([0, 1, 2, 0]))
    with pytest.raises(ModelError, match=r"it runs under autocast.*teleport outside of autocast"):
        teleport_core.teleport(Autocast(), F.cross_entropy, batch)


def test_a_sparse_embedding_counts_as_a_dense_one_does() -> None:
    tokens, targets = torch.tensor([1, 4, 4, 0, 7]), torch.tensor([0, 1, 2, 0, 1])
    found = []
    for sparse, options in ((True, {}), (False, {}), (True, {"engine": "textbook"})):
        torch.manual_seed(0)
        table = nn.Embedding(9, 12, sparse=sparse)
        model = nn.Sequential(table, nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3)).double()
        result = teleport_core.teleport(
            model, F.cross_entropy, (tokens, targets), steps=2, lr=0.1, **options
        )
        assert result.status is Status.DONE
        found.append((model[3].weight.detach().clone(), result.grad_norm_sq))

    for weight, norms in found[1:]:
        torch.testing.assert_close(weight, found[0][0], rtol=1e-9, atol=1e-9)
        assert norms == pytest.approx(found[0][1], rel=1e-9)


class Aside(nn.Module):
    """What ``inner`` makes without a gradient goes on beside what has one."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(5, 32), nn.Linear(8, 8), nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x).tanh()
        with torch.no_grad():
            fixed = self.inner(h.view(len(h), 4, 8)).flatten(1)
        return self.leave(h + fixed)


def test_a_view_taken_without_a_gradient_has_none() -> None:
    """It says that it requires one; asked for it, autograd raised."""
    torch.manual_seed(0)
    problem = Problem(Aside().double(), F.cross_entropy, noise(3, 5), torch.tensor([0, 1, 2]))
    before = problem.output().detach()

    batch = (problem.inputs, problem.targets)
    result = teleport_core.teleport(problem.model, problem.loss_fn, batch, lr=0.1, steps=3)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.steps_done == 3
    assert output_change(problem, before) < 1e-12

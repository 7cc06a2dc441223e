"""What is known and cannot move is held, by name, and stays bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from gauge_models import GROUPED, factorised, hugging_face
from oracles import identical, output_change, snapshot
from torch import Tensor, nn
from torch.nn import functional as F
from zoo_problem import noise, problem

from teleport_core import ModelError, Problem, TeleportResult, teleport


def run(problem: Problem, **options: Any) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method="gauge", steps=2, **options)


class Model(nn.Module):
    """Layers of which a function makes an output."""

    def __init__(self, function: Callable[["Model", Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def attention(
    change: Callable[[Any, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]], **more: Any
) -> Problem:
    """One head over [2, 3, 4], whose queries, keys and values are changed before they meet."""

    def forward(model: Any, x: Tensor) -> Tensor:
        q, k, v = change(model, model.q(x), model.k(x), model.v(x))
        return model.out(F.scaled_dot_product_attention(q, k, v))  # type: ignore[no-any-return]

    layers = {name: nn.Linear(4, 4) for name in ("q", "k", "v", "out")}
    return problem(Model(forward, **layers, **more), noise(2, 3, 4), 4, (2, 3))


class Scale(nn.Module):
    def __init__(self, *values: float, learned: bool = False) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values), requires_grad=learned)


HELD: dict[str, tuple[Callable[[], Problem], dict[str, str]]] = {
    "a norm of queries and keys": (
        lambda: attention(lambda m, q, k, v: (m.norm(q), m.norm(k), v), norm=nn.LayerNorm(4)),
        {"q.weight": "a norm", "k.bias": "a norm"},
    ),
    "positions that queries meet": (
        lambda: attention(
            lambda m, q, k, v: (q, k + torch.einsum("bld,d->bl", q, m.s.values)[..., None], v),
            s=Scale(1.0, 2.0, 3.0, 4.0),
        ),
        {"q.weight": "einsum", "k.weight": "add"},
    ),
    "queries with scales of their own": (
        lambda: attention(
            lambda m, q, k, v: (q * torch.tensor([1.0, 2.0, 3.0, 4.0]).double(), k, v)
        ),
        {"q.weight": "a scalar product", "k.weight": "a scalar product"},
    ),
    "learned scales of queries": (
        lambda: attention(
            lambda m, q, k, v: (q * m.s.values, k, v), s=Scale(1.0, 2.0, 3.0, 4.0, learned=True)
        ),
        {"q.weight": "mul", "s.values": "mul", "k.weight": "a scalar product"},
    ),
    "keys that are queries": (
        lambda: attention(lambda m, q, k, v: (q, q, v)),
        {"q.weight": "scalar products with itself", "k.weight": "no pair"},
    ),
    "queries that are values": (
        lambda: attention(lambda m, q, k, v: (q, k, q)),
        {"q.weight": "", "k.weight": "", "v.weight": "no pair"},
    ),
}


@pytest.mark.parametrize("name", list(HELD))
def test_what_a_matrix_does_not_go_through_is_held(name: str) -> None:
    build, expected = HELD[name]
    found = build()
    before = snapshot(found)
    try:
        result = run(found, lr=10.0)
    except ModelError as error:
        assert name in ("queries that are values",)
        assert "expected attention" in str(error)
        assert identical(found, before)
        return

    now = snapshot(found)
    assert not torch.equal(now["out.weight"], before["out.weight"])  # values do move
    for weight, why in expected.items():
        assert why in result.held[weight]
        assert torch.equal(now[weight], before[weight]), weight


def test_learned_keys_and_values_hold_their_attention() -> None:
    def forward(model: Any, x: Tensor) -> Tensor:
        return model.head(model.attention(x, x, x)[0])  # type: ignore[no-any-return]

    layer = nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True)
    model = Model(forward, attention=layer, head=nn.Linear(4, 4))
    found = problem(model, noise(2, 3, 4), 4, (2, 3))
    before = snapshot(found)

    result = run(found, lr=10.0)  # out_proj and head are a pair

    now = snapshot(found)
    assert "cat" in result.held["attention.in_proj_weight"]
    assert "repeat" in result.held["attention.bias_k"]
    assert torch.equal(now["attention.in_proj_weight"][:8], before["attention.in_proj_weight"][:8])


def test_a_norm_of_queries_and_keys_holds_them_in_a_whole_model() -> None:
    found = hugging_face("Qwen3ForCausalLM", GROUPED)
    before = found.output().detach()

    result = run(found, lr=1.0)

    held = {name for name in result.held if "q_proj" in name or "k_proj" in name}
    assert len(held) == 2  # the biases: weights are scaled from the side of the norm before them
    assert output_change(found, before) < 1e-12


# --- pairs of layers ------------------------------------------------------------------------------


def tied() -> Problem:
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3))
    layers[1].weight = layers[0].weight
    return factorised(layers)


def with_hidden(use: Callable[[Any, Tensor, Tensor], Tensor]) -> Problem:
    def forward(model: Any, x: Tensor) -> Tensor:
        hidden = model.one(x)
        return use(model, x, hidden)

    model = Model(forward, one=nn.Linear(4, 5), two=nn.Linear(5, 3), other=nn.Linear(4, 5))
    return problem(model, noise(3, 4), 3, (3,))


def of_two(function: Callable[[Any, Tensor, Tensor], Tensor], **more: nn.Module) -> Problem:
    """Two layers with the same input, six features each, and what a function makes of them."""

    def forward(model: Any, x: Tensor) -> Tensor:
        return function(model, model.one(x), model.two(x))

    model = Model(forward, one=nn.Linear(4, 6), two=nn.Linear(4, 6), **more)
    return problem(model, noise(3, 4), 3, (3,))


def one_bias_for_two() -> Problem:
    heads = {"three": nn.Linear(6, 3), "four": nn.Linear(6, 3)}
    found = of_two(lambda m, a, b: m.three(a) * m.four(b), **heads)
    found.model.two.bias = found.model.one.bias
    return found


def two_biases_for_one() -> Problem:
    def use(m: Any, x: Tensor, h: Tensor) -> Tensor:
        again = F.linear(x, m.one.weight, m.other.bias)
        return m.two(h) * m.two(again)  # type: ignore[no-any-return]

    return with_hidden(use)


def half_of_a_gain() -> Problem:
    def forward(model: Any, x: Tensor) -> Tensor:
        h = model.norm(x)
        return model.two(h) + model.three(h[:, :2])  # type: ignore[no-any-return]

    layers = {"norm": nn.LayerNorm(4), "two": nn.Linear(4, 3), "three": nn.Linear(2, 3)}
    return problem(Model(forward, **layers), noise(3, 4), 3, (3,))


def two_outputs() -> Problem:
    """The loss takes one, the model returns features as well."""
    found = with_hidden(lambda m, x, h: (m.two(h), h))  # type: ignore[arg-type,return-value]
    loss = found.loss_fn
    return Problem(found.model, lambda o, y: loss(o[0], y), found.inputs, found.targets)


def product_of_a_layer() -> Problem:
    """A weight that takes features, and is a factor of another weight."""
    layers = {"A": nn.Linear(6, 3, bias=False), "B": nn.Linear(3, 3, bias=False)}
    return of_two(lambda m, a, b: m.A(a) + F.linear(b.tanh(), m.B.weight @ m.A.weight), **layers)


REFUSED: dict[str, tuple[Callable[[], Problem], str]] = {
    "an activation": (lambda: factorised(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), "relu"),
    "a sum": (lambda: with_hidden(lambda m, x, h: m.two(h) + h[:, :3]), "add"),
    "a reading of its values": (
        lambda: with_hidden(lambda m, x, h: m.two(h) * h[0, 0].item()), "item"
    ),
    "a reading as an array": (
        lambda: with_hidden(lambda m, x, h: m.two(h) * float(h.detach().numpy().sum())), "detach"
    ),
    "one after the other": (
        lambda: with_hidden(lambda m, x, h: m.two(h) + torch.stack([r * r for r in h])[:, :3]),
        "mul",
    ),
    "a function of one sample, mapped": (
        lambda: with_hidden(lambda m, x, h: torch.vmap(lambda row: m.two(m.one(row)))(x)),
        "used in linear",
    ),
    "nested tensors": (
        lambda: with_hidden(
            lambda m, x, h: torch.nested.to_padded_tensor(
                m.two(m.one(torch.nested.as_nested_tensor(list(x[:, None]), layout=torch.jagged))),
                0.0,
            )[:, 0]
        ),
        "used in",
    ),
    "features of two calls": (
        lambda: with_hidden(
            lambda m, x, h: m.two(torch.cat([h[:, :2], m.one(x.flip(1))[:, 2:]], 1))
        ),
        "used in cat",
    ),
    "a layer of other features": (
        lambda: with_hidden(lambda m, x, h: m.two(h) + m.two(m.other(x).tanh())),
        "a layer that takes other features, too",
    ),
    "a part of the features": (
        lambda: with_hidden(lambda m, x, h: m.two(h) + F.linear(h[:, :3], m.two.weight[:, :3])),
        "linear",
    ),
    "features in another order": (
        lambda: with_hidden(lambda m, x, h: m.two(h) + h.flip(1)[:, :3]), "flip"
    ),
    "an assignment": (
        lambda: with_hidden(lambda m, x, h: _assigned(m, h)), "__setitem__"
    ),
    "a partner that is frozen": (
        lambda: _frozen(factorised(nn.Linear(4, 5), nn.Linear(5, 3))), "requires_grad=False"
    ),
    "a partner that is used elsewhere": (
        lambda: with_hidden(lambda m, x, h: m.two(h) + m.two.weight.sum()), "used in sum"
    ),
    "a bias of two layers": (one_bias_for_two, "a sum with a bias that others have, too"),
    "two biases of a layer": (two_biases_for_one, "calls with several biases"),
    "a weight and its transpose": (
        lambda: with_hidden(lambda m, x, h: F.linear(h, m.one.weight.T)),
        "a product with its transpose, too",
    ),
    "a part of a gain": (half_of_a_gain, "a layer that takes a part of its features"),
    "an output that no loss takes": (two_outputs, "the output of the model"),
    "a factor of another weight": (product_of_a_layer, "a layer that takes other features, too"),
    "groups of channels": (
        lambda: factorised(
            nn.Conv2d(4, 6, 1), nn.Conv2d(6, 6, 6, groups=2), nn.ReLU(), nn.Flatten(),
            nn.Linear(6, 3), images=True,
        ),
        "a layer that takes some channels a group",
    ),
    "a recurrent layer": (
        lambda: problem(
            Model(lambda m, x: m.head(m.cell(x)[0][:, -1]), cell=nn.GRU(4, 5, batch_first=True),
                  head=nn.Linear(5, 3)), noise(2, 3, 4), 3, (2,)), "gru",
    ),
}  # fmt: skip


def _assigned(model: Any, hidden: Tensor) -> Tensor:
    copy = torch.zeros(3, 5, dtype=torch.float64)
    copy[:] = hidden
    return model.two(hidden) + copy[:, :3]  # type: ignore[no-any-return]


def _frozen(found: Problem) -> Problem:
    found.model[1].weight.requires_grad_(False)  # type: ignore[index]
    return found


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_no_pair_is_is_refused_by_name(name: str) -> None:
    build, why = REFUSED[name]
    found = build()
    before = snapshot(found)

    with pytest.raises(ModelError, match=r"expected attention.*; use method='nullspace'") as error:
        run(found)

    assert why in str(error.value)
    assert identical(found, before)


def test_a_weight_of_two_places_moves_in_neither() -> None:
    found = tied()
    before, kept = found.output().detach(), snapshot(found)

    with pytest.raises(ModelError, match="expected attention"):
        run(found, lr=10.0)

    assert identical(found, kept)
    assert output_change(found, before) == 0


def test_half_precision_is_refused() -> None:
    found = factorised(nn.Linear(4, 5), nn.Linear(5, 3))
    model = found.model.to(torch.bfloat16)
    before = snapshot(found)

    with pytest.raises(ModelError, match=r"expected float32 or float64 parameters; 0\.\w+ is tor"):
        run(Problem(model, found.loss_fn, found.inputs.bfloat16(), found.targets))
    assert identical(found, before)


def test_a_loss_that_reads_features_holds_them() -> None:
    """An auxiliary loss on what the model put aside, which no output shows."""
    kept: list[Tensor] = []

    def forward(model: Any, x: Tensor) -> Tensor:
        hidden = model.one(x)
        kept[:] = [hidden]
        return model.two(hidden)  # type: ignore[no-any-return]

    model = Model(forward, one=nn.Linear(4, 5), two=nn.Linear(5, 3)).double()

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(output, targets) + kept[0].square().mean()

    found = Problem(model, loss, noise(3, 4), torch.tensor([0, 1, 2]))
    before = snapshot(found)

    with pytest.raises(ModelError, match="what it makes is used in square"):
        run(found)
    assert identical(found, before)


def test_hooks_that_watch_hold_nothing_and_hooks_that_change_do() -> None:
    seen: list[float] = []

    def watches(module: nn.Module, args: Any, output: Tensor) -> None:
        del module, args
        seen.append(output.detach().norm().item())

    def changes(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        watches(module, args, output)
        return output + output.detach().mean()

    found = factorised(nn.Linear(4, 5), nn.Linear(5, 3))
    found.model[0].register_forward_hook(watches)  # type: ignore[index]
    before = found.output().detach()

    result = run(found, lr=1.0)

    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    assert output_change(found, before) < 1e-12
    assert seen
    found.model[0].register_forward_hook(changes)  # type: ignore[index]
    with pytest.raises(ModelError, match="what it makes is used in"):
        run(found)

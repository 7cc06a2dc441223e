"""What an advice says is free, beside what an SVD and a teleport say."""

import json
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from zoo import ZOO, build

import teleport_core
from teleport_core import Advice, Problem, Status, advise
from teleport_core.advice import LayerAdvice, freedom
from teleport_core.layers import linear_layers
from teleport_core.rank import numerical_cut

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

NAMES = [
    *("conv2d-pool", "grouped-dilated-strided-batchnorm-residual", "transposed-conv2d-groups"),
    *("encoder-prenorm", "cross-attention", "causal-decoder-tied", "lstm", "shared-layers"),
    *("full-rank", "frozen-trunk"),
]


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 20), nn.Tanh(), nn.Linear(20, 30, bias=False), nn.Tanh(), nn.Linear(30, 3)
    ).double()


def dataset(samples: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(samples, 8, generator=generator).double()
    return TensorDataset(inputs, (inputs[:, 0] > 0).long())


def cut_by_hand(sigma: Sequence[float], tau: float, cut: float) -> int:
    """k by the definition: numerical rank, or the first k whose energy reaches tau."""
    if tau == 1.0:
        return sum(s > cut * sigma[0] for s in sigma)
    whole = sum(s * s for s in sigma)
    return next(
        k for k in range(len(sigma) + 1) if sum(s * s for s in sigma[k:]) <= (1 - tau) * whole
    )


def assert_is_svd(one: LayerAdvice, place: int, taus: Sequence[float], R: Tensor) -> None:
    """Free dimensions and bounds at each tau, from the singular values of R [features, columns]."""
    sigma = torch.linalg.svd(R.double()).S.tolist()
    features, cut = R.shape[0], numerical_cut((R.shape[0], R.shape[1]), R.dtype)
    free, bound = one.free[place], one.bound[place]
    assert free is not None
    assert bound is not None
    for j, tau in enumerate(taus):
        k = cut_by_hand(sigma, tau, cut)
        assert free[j] == features - k
        left_out = sigma[k] / sigma[0] if k < len(sigma) else 0.0
        assert bound[j] == pytest.approx(left_out, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("columns", [4096, 5], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_the_zoo_is_what_the_svd_of_its_inputs_says(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freedom, "_COLUMNS", columns)
    problem = build(name)

    found = advise(problem.model, problem.loss_fn, (problem.inputs, problem.targets))
    place = found.sizes.index(found.own_size)
    layers = linear_layers(problem)

    assert [one.weight for one in found.layers] == [layer.weight for layer in layers]
    for one, layer in zip(found.layers, layers, strict=True):
        assert (one.rows, one.features) == layer.shape
        assert one.data_fed is layer.data_fed
        assert_is_svd(one, place, found.taus, layer.representation())


def test_every_size_of_an_mlp_is_what_its_activations_say() -> None:
    model, data = mlp(), dataset(80)

    found = advise(model, F.cross_entropy, DataLoader(data, 16))

    assert found.sizes == (2, 4, 8, 16, 32, 64)
    assert found.own_size == 16
    for place, size in enumerate(found.sizes):
        x = data.tensors[0][:size]
        h = torch.tanh(model[0](x))
        last = torch.tanh(model[2](h))
        ones = torch.ones(size, 1).double()
        inputs = [torch.cat([x, ones], 1), h, torch.cat([last, ones], 1)]
        for one, X in zip(found.layers, inputs, strict=True):
            assert_is_svd(one, place, found.taus, X.detach().T)
        # The first layer is fed by data, the others have full rows.
        free = [X.shape[1] - int(torch.linalg.matrix_rank(X)) for X in inputs[1:]]
        entries = 20 * 9 + 30 * 20 + 3 * 31
        assert found.share(size) == pytest.approx((30 * free[0] + 3 * free[1]) / entries)


@pytest.mark.parametrize("name", [n for n in NAMES if ZOO[n].status is Status.DONE])
@pytest.mark.parametrize("tau", [1.0, 0.99])
def test_a_teleport_finds_as_much_to_move_in(name: str, tau: float) -> None:
    problem = build(name)

    found = advise(problem.model, problem.loss_fn, (problem.inputs, problem.targets))
    result = _teleported(problem, tau)

    i, j = found.sizes.index(found.own_size), found.taus.index(tau)
    free: dict[str, list[int | None]] = {}
    for one in found.layers:
        dims = one.free[i]
        assert dims is not None
        free.setdefault(one.weight, []).append(None if tau == 1.0 and one.data_fed else dims[j])
    # Where no block of a weight moves the result has None for all of them.
    expected = {w: None if set(dims) == {None} else dims for w, dims in free.items()}
    assert result.null_dims == expected


def _teleported(problem: Problem, tau: float) -> teleport_core.TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport_core.teleport(
        problem.model, problem.loss_fn, batch, steps=1, lr=1e-6, tau=tau, verify="off"
    )


def test_what_data_feeds_moves_in_what_tau_adds_and_in_nothing_else() -> None:
    model, data = mlp(), dataset(6)
    batch = (data.tensors[0], data.tensors[1])
    found = advise(model, F.cross_entropy, batch)
    own = found.sizes.index(6)
    exact, loose = (found.layers[0].useful(own, found.taus.index(tau)) for tau in (1.0, 0.9))
    before = model[0].weight.detach().clone()

    teleport_core.teleport(model, F.cross_entropy, batch, steps=1, lr=1e-2)
    assert torch.equal(model[0].weight, before)
    teleport_core.teleport(model, F.cross_entropy, batch, steps=1, lr=1e-2, tau=0.9)
    ranks = int(torch.linalg.matrix_rank(model[0].weight.detach() - before, rtol=1e-9))

    assert found.layers[0].free[own] is not None
    assert exact == 0
    assert 0 < ranks <= loose


def test_rows_that_are_looked_up_do_not_move() -> None:
    problem = build("causal-decoder-tied")
    found = advise(problem.model, problem.loss_fn, (problem.inputs, problem.targets))

    table = next(one for one in found.layers if one.weight == "table.weight")

    assert table.moving == (table.rows - len(torch.unique(problem.inputs)),)


def test_held_parameters_and_why() -> None:
    problem = build("gpt2")

    found = advise(problem.model, problem.loss_fn, (problem.inputs, problem.targets))

    assert found.held["model.transformer.wpe.weight"] == "used in embedding"
    assert found.held["model.transformer.ln_f.bias"] == "used in layer_norm"


def test_a_layer_that_few_samples_reach() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.often, self.rarely = (nn.Linear(8, 8) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.into(x))
            return torch.cat([self.often(h[:6]), self.rarely(h[6:])])

    data = dataset(8)
    found = advise(Experts().double(), F.cross_entropy, (data.tensors[0], data.tensors[1]))

    assert found.sizes == (1, 2, 4, 8)
    assert found.layers[2].weight == "rarely.weight"
    assert found.layers[2].free[:3] == (None, None, None)
    assert found.layers[2].free[3][0] == 7  # type: ignore[index]


def test_it_can_be_written_as_json() -> None:
    found = advise(mlp(), F.cross_entropy, DataLoader(dataset(16), 8))

    read = json.loads(json.dumps(found.to_dict()))

    assert isinstance(found, Advice)
    assert read["sizes"] == [1, 2, 4, 8, 16]
    assert read["layers"][1]["free"][2][0] == 16
    assert read["shares"][3][0] == found.share(8)
    assert read["verdict"] == found.verdict

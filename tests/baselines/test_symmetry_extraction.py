"""Which models are taken, and that a refusal names the module in the way and the cure."""

import warnings
from collections.abc import Callable

import pytest
import torch
from oracles import identical, snapshot
from small_problems import batch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from baselines.symmetry.extraction import extract
from teleport_core import ModelError, Problem, ProblemError


def linear(fan_in: int = 6, fan_out: int = 6) -> nn.Linear:
    return nn.Linear(fan_in, fan_out)


class OwnForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(linear(), nn.ReLU(), linear())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class OwnSequential(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class OwnLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class OwnReLU(nn.ReLU):
    pass


def twice() -> nn.Module:
    layer = linear()
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied() -> nn.Module:
    first, last = linear(), linear()
    last.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), last)


def frozen() -> nn.Module:
    model = nn.Sequential(linear(), nn.ReLU(), linear())
    model[0].bias.requires_grad_(False)
    return model


def weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(nn.utils.weight_norm(linear()), nn.ReLU(), linear())


def parametrized() -> nn.Module:
    layer = nn.utils.parametrizations.spectral_norm(linear())
    return nn.Sequential(layer, nn.ReLU(), linear())


def chain(*modules: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*modules)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "own-forward": (OwnForward, r"the model \(OwnForward\) is something else.*nn\.Sequential"),
    "own-forward-inside": (
        chain(linear(), nn.ReLU(), OwnForward(), nn.ReLU(), linear()),
        r"expected a stack of nn\.Linear.*2 \(OwnForward\) is something else.*method='nullspace'",
    ),
    "own-sequential": (
        lambda: OwnSequential(linear(), nn.ReLU(), linear()),
        r"the model \(OwnSequential\) is something else",
    ),
    "own-linear": (chain(OwnLinear(6, 6), nn.ReLU(), linear()), r"0 \(OwnLinear\) is something"),
    "own-relu": (chain(linear(), OwnReLU(), linear()), r"1 \(OwnReLU\) is something else"),
    "norm": (
        chain(nn.Sequential(linear(), nn.LayerNorm(6)), nn.ReLU(), linear()),
        r"0\.1 \(LayerNorm\) is something else",
    ),
    "prelu": (chain(linear(), nn.PReLU(), linear()), r"1 \(PReLU\) is something else"),
    "softmax-last": (chain(linear(), nn.Softmax(-1)), r"1 \(Softmax\) is something else"),
    "activation-last": (chain(linear(), nn.ReLU()), r"1 \(ReLU\) follows the last nn\.Linear"),
    "activation-first": (
        chain(nn.Tanh(), linear()),
        r"0 \(Tanh\) comes before the first nn\.Linear",
    ),
    "two-activations": (
        chain(linear(), nn.ReLU(), nn.Sequential(nn.Tanh()), linear()),
        r"2\.0 \(Tanh\) follows 1 \(ReLU\) with no nn\.Linear between",
    ),
    "late-flatten": (chain(linear(), nn.Flatten(), linear()), r"1 \(Flatten\) is something else"),
    "used-twice": (twice, r"2\.weight is the same as 0\.weight: untie"),
    "tied": (tied, r"2\.weight is the same as 0\.weight: untie"),
    "frozen": (frozen, r"0\.bias has requires_grad=False: set it to True"),
    "weight-norm-hook": (weight_norm, r"without forward hooks.*0 \(Linear\) has one: remove it"),
    "parametrized": (parametrized, r"0 \(ParametrizedLinear\) is something else"),
    "dropout": (
        chain(linear(), nn.Dropout(0.25), nn.ReLU(), linear()),
        r"1 \(Dropout\) drops with p=0\.25 in train mode: call model\.eval\(\)",
    ),
}


def problem_of(model: nn.Module) -> Problem:
    inputs, targets = batch(4, 6, 6)
    return Problem(model, F.cross_entropy, inputs, targets)


@pytest.mark.parametrize(("build", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals_name_the_module_and_move_nothing(
    build: Callable[[], nn.Module], text: str
) -> None:
    problem = problem_of(build().double())
    before = snapshot(problem)
    with pytest.raises(ModelError, match=text):
        teleport_core.make("symmetry").prepare(problem)
    assert identical(problem, before)


def test_model_without_linear_is_refused() -> None:
    problem = problem_of(nn.Sequential(nn.Flatten()))
    with pytest.raises(ModelError, match=r"at least one nn\.Linear; the model \(Sequential\) has"):
        extract(problem)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dtypes_without_pseudo_inverse_are_refused(dtype: torch.dtype) -> None:
    model = nn.Sequential(linear(), nn.ReLU(), linear()).to(dtype)
    inputs, targets = batch(4, 6, 6, dtype=dtype)
    problem = Problem(model, F.cross_entropy, inputs, targets)
    text = rf"float32 or float64.*no pseudo-inverse.*0\.weight is {dtype}.*model\.float\(\)"
    with pytest.raises(ModelError, match=text):
        extract(problem)


@pytest.mark.parametrize(
    "activation", [nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.ELU(), nn.LeakyReLU(0.0)]
)
def test_2022_action_refuses_activations_that_are_not_onto(activation: nn.Module) -> None:
    model = nn.Sequential(linear(), nn.LeakyReLU(), linear(), activation, linear()).double()
    problem = problem_of(model)
    before = snapshot(problem)
    name = type(activation).__name__
    text = rf"negative_slope > 0.*3 \({name}\) does not: use acts_on='preactivations'"
    with pytest.raises(ModelError, match=text):
        teleport_core.make("symmetry", acts_on="activations").prepare(problem)
    assert identical(problem, before)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (torch.zeros(4, 7).double(), r"expected inputs \[\.\.\., 6\].*0 \(Linear\); got \(4, 7\)"),
        (torch.zeros(4, 6), r"of torch\.float64.*got \(4, 6\) of torch\.float32"),
        (torch.zeros(4, 2, 3).double(), r"got \(4, 2, 3\).*put an nn\.Flatten first"),
        ((torch.zeros(4, 6), torch.zeros(4, 6)), r"one input tensor.*got 2 tensors"),
        (torch.zeros(()).double(), r"got \(\) of"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: object, text: str) -> None:
    model = nn.Sequential(linear(), nn.ReLU(), linear()).double()
    problem = Problem(model, F.cross_entropy, inputs, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ProblemError, match=text):
        extract(problem)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(inplace=True),
        nn.LeakyReLU(0.3, inplace=True),
        nn.ELU(0.7),
        nn.CELU(1.3),
        nn.SELU(),
        nn.GELU(approximate="tanh"),
        nn.SiLU(),
        nn.Mish(),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.Softplus(beta=2.0),
        nn.Softsign(),
        nn.Identity(),
    ],
    ids=lambda a: type(a).__name__,
)
def test_extracted_mlp_computes_what_the_model_does(activation: nn.Module, bias: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5, bias=bias), activation, nn.Linear(5, 4)).double()
    problem = problem_of(model)
    mlp, rows = extract(problem)
    matrices = mlp.read(problem.detached())

    output = mlp.output(list(matrices.values()), rows.T)

    torch.testing.assert_close(output, model(problem.inputs), rtol=1e-14, atol=1e-14)
    assert output.is_contiguous()
    inverse = mlp.activations[0].inverse
    if inverse is not None:
        z = torch.linspace(-3, 3, 13, dtype=torch.float64)
        torch.testing.assert_close(inverse(mlp.activations[0].forward(z.clone())), z)
    split = mlp.split(matrices)
    assert split.keys() == dict(model.named_parameters()).keys()
    assert all(torch.equal(split[name], p) for name, p in model.named_parameters())
    z = torch.full((2,), -1.0, dtype=torch.float64)
    mlp.activations[0].forward(z)
    assert float(z[0]) == -1.0  # never in place

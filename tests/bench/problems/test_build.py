"""From a point to a model and batches, and what a factory that does not fit is told."""

import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.errors import SpecError
from bench.plan.points import Point
from bench.problems.build import Built, build

FACTORIES = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    def good(d, n, seed, dtype, device="cpu"):
        assert dtype is torch.float64 and device == "cpu"
        model = nn.Linear(6, d)
        batches = [({"input": torch.randn(n, 6)}, torch.zeros(n, d)) for _ in range(3)]
        return model, F.mse_loss, batches

    def wrong(d):
        return "a model"

    def empty(d):
        return nn.Linear(6, d), F.mse_loss, []

    def no_pairs(d):
        return nn.Linear(6, d), F.mse_loss, [torch.randn(3, 6)]

    def needs_more(d, kernel):
        return None

    def fixed_width():
        return nn.Linear(6, 3), F.mse_loss, [(torch.randn(4, 6), torch.randn(4, 3))]

    def held_out():
        pairs = lambda n, count: [(torch.randn(n, 6), torch.zeros(n, 3)) for _ in range(count)]
        return nn.Linear(6, 3), F.mse_loss, (pairs(4, 5), pairs(9, 2))

    def two_batches():
        pair = torch.randn(4, 6), torch.zeros(4, 3)
        return nn.Linear(6, 3), F.mse_loss, (pair, pair)

    def drops(d):
        inner = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(6))
        batches = [(torch.randn(4, 6), torch.zeros(4, d))]
        return nn.Sequential(inner, nn.Linear(6, d)), F.mse_loss, batches

    number = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own")
    (path / "own_models.py").write_text(textwrap.dedent(FACTORIES))
    (path / "bad_models.py").write_text("import not_there_at_all")
    return path


def point(model: str = "mlp", **values: object) -> Point:
    letters = {"t": 2, "d": 8, "n": 5, "l": 3, "b": 2}
    place = {"dataset": "digits", "device": "cpu", "dtype": "float64"}
    return Point(**{**letters, **place, "model": model, **values})  # type: ignore[arg-type]


def test_the_data_sets_size_is_told(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert built(point()).train_samples == 1438
    assert built(point("own_models:good")).train_samples is None


def built(where: Point, seed: int = 0) -> Built:
    return build(where, seed=seed, bias=False, data_dir=None)


def weights(model: nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_the_mlp_of_the_sweep() -> None:
    result = built(point(l=4))

    linear = [m for m in result.model if isinstance(m, nn.Linear)]  # type: ignore[attr-defined]
    assert [tuple(m.weight.shape) for m in linear] == [(8, 64), (8, 8), (8, 8), (10, 8)]
    assert all(m.bias is None for m in linear)
    assert [m.negative_slope for m in result.model if isinstance(m, nn.LeakyReLU)] == [0.1] * 3  # type: ignore[attr-defined]
    assert len(result.batches) == 2
    assert result.batches[0][0].shape == (5, 64)
    assert result.batches[0][0].dtype is torch.float64
    assert result.batches[0][1].dtype is torch.int64
    assert result.heldout is not None


def test_one_weight_layer_is_a_linear_map() -> None:
    assert [tuple(w.shape) for w in weights(built(point(l=1)).model)] == [(10, 64)]


def test_weights_depend_on_shape_and_seed_alone() -> None:
    base = built(point())

    assert same(base.model, built(point(t=9, n=7, b=1)).model)
    assert not same(base.model, built(point(), seed=1).model)


def test_fewer_batches_are_the_first_of_more() -> None:
    few, many = built(point(b=1)), built(point(b=3, d=16, t=7))

    assert torch.equal(few.batches[0][0], many.batches[0][0])
    assert not torch.equal(many.batches[0][0], many.batches[1][0])


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)

    built(point())

    assert torch.equal(torch.rand(3), expected)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(SpecError, match=r"expected n <= \d+, the training samples of digits; got"):
        built(point(n=100_000))


def test_a_factory_gets_the_values_it_names(folder: Path) -> None:
    result = built(point(f"{folder}/own_models.py:good"))

    assert result.model.weight.shape == (8, 6)
    assert result.batches[0][0]["input"].shape == (5, 6)
    assert result.batches[0][0]["input"].dtype is torch.float64
    assert len(result.batches) == 2
    assert result.heldout is not None


def test_a_factory_is_found_by_module_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    assert built(point("own_models:good")).model.weight.shape == (8, 6)


def test_too_few_batches_are_used_again(folder: Path) -> None:
    result = built(point(f"{folder}/own_models.py:fixed_width", b=3))

    assert len(result.batches) == 3
    assert torch.equal(result.batches[0][0], result.batches[2][0])
    assert result.heldout is None


def test_held_out_batches_are_those_the_factory_holds_out(folder: Path) -> None:
    result = built(point(f"{folder}/own_models.py:held_out", b=2))

    assert [len(inputs) for inputs, _ in result.batches] == [4, 4]
    assert result.heldout is not None
    assert len(result.heldout[0]) == 9
    two = built(point(f"{folder}/own_models.py:two_batches", b=2))
    assert (len(two.batches), two.heldout) == (2, None)


def test_dropout_is_off_for_the_measurement_and_said(folder: Path) -> None:
    result = built(point(f"{folder}/own_models.py:drops"))

    assert result.note == "dropout is off for the measurement: 0.0 (Dropout)"
    modes = {name: module.training for name, module in result.model.named_modules()}
    assert modes == {"": True, "0": True, "0.0": False, "0.1": True, "1": True}
    assert (result.network, result.parameters) == ("Sequential", 12 + 6 * 8 + 8)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("{}/own_models.py:wrong", r"to return \(model, loss_fn, batches\); got str"),
        ("{}/own_models.py:empty", "to be at least one of"),
        ("{}/own_models.py:no_pairs", "to be at least one of"),
        ("{}/own_models.py:needs_more", "to take any of t, d, n, l, b, .*; it needs 'kernel'"),
        ("{}/own_models.py:absent", "to define a function 'absent'; it does not"),
        ("{}/own_models.py:number", "to define a function 'number'; it does not"),
        ("{}/nowhere.py:f", "it raised FileNotFoundError: no file .*nowhere.py"),
        ("{}/bad_models.py:f", "it raised ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("no.such.module:f", "expected to import 'no.such.module' .*ModuleNotFoundError"),
        ("resent", r"one of mlp, cnn, .*; got 'resent'; did you mean 'resnet'\?"),
    ],
)
def test_a_factory_that_does_not_fit_is_told_why(folder: Path, model: str, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        built(point(model.format(folder)))


def test_a_swept_letter_that_a_factory_does_not_take_is_refused(folder: Path) -> None:
    where = point(f"{folder}/own_models.py:fixed_width")

    with pytest.raises(SpecError, match="to take 'd', which is swept; it takes nothing: add the"):
        build(where, seed=0, bias=False, data_dir=None, swept=("t", "d"))
    assert build(where, seed=0, bias=False, data_dir=None, swept=("t", "b")).model is not None

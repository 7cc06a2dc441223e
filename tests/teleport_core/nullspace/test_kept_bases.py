"""Bases that serve several calls: what they save, that they change nothing, when they are stale."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import identical, output_change, snapshot
from small_problems import CASES, classification
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from zoo import build

from teleport_core import OptionError, Problem, Status, TeleportResult, teleport
from teleport_core.nullspace import Bases, keep_bases

GROWTH = {"steps": 2, "growth": 1.5}
BUILDS: dict[str, tuple[Callable[[], Problem], str, dict[str, Any]]] = {
    "half_hvp": (CASES["leaky-bias"].build, "half_hvp", {}),
    "traced": (CASES["residual-batchnorm"].build, "traced", {}),
    "groups": (lambda: build("depthwise-separable"), "traced", {}),
    "attention": (lambda: build("cross-attention"), "traced", {}),
    "textbook": (CASES["relu"].build, "textbook", {"engine": "textbook"}),
    "energy": (CASES["relu"].build, "textbook", {"rank_rule": "energy"}),
    "tau": (CASES["relu"].build, "textbook", {"tau": 0.9}),
}
EXACT = [name for name in BUILDS if name != "tau"]


class Decompositions(TorchDispatchMode):
    """Counts the calls of decompositions."""

    number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        names = ("cholesky", "eigh", "svd", "qr")
        self.number += any(name in func.__name__ for name in names)
        return func(*args, **(kwargs or {}))


def kept(problem: Problem, **options: Any) -> Bases:
    return keep_bases(problem.model, problem.loss_fn, batch(problem), **options)


def batch(problem: Problem) -> tuple[Any, Any]:
    return problem.inputs, problem.targets


def call(problem: Problem, **options: Any) -> tuple[TeleportResult, int]:
    with Decompositions() as seen:
        result = teleport(problem.model, problem.loss_fn, batch(problem), **(GROWTH | options))
    return result, seen.number


def twin(problem: Problem) -> Problem:
    return Problem(copy.deepcopy(problem.model), problem.loss_fn, problem.inputs, problem.targets)


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("from_file", [False, True])
def test_the_first_call_ends_where_one_without_ends_bit_for_bit(
    name: str, from_file: bool, tmp_path: Path
) -> None:
    make, engine, options = BUILDS[name]
    problem = make()
    without, bases = twin(problem), kept(problem, **options)
    if from_file:
        bases.save(tmp_path / "bases.pt")
        bases = Bases.load(tmp_path / "bases.pt")

    result, decompositions = call(problem, bases=bases, **options)
    expected, usually = call(without, **options)

    assert (result.engine.name, result.status) == (engine, Status.DONE)
    assert identical(problem, snapshot(without))
    assert (result.grad_norm_sq, result.null_dims) == (expected.grad_norm_sq, expected.null_dims)
    assert decompositions == 0 < usually


@pytest.mark.parametrize("name", EXACT)
def test_later_calls_on_the_batch_decompose_nothing_and_end_where_others_do(name: str) -> None:
    make, _, options = BUILDS[name]
    problem = make()
    without, bases = twin(problem), kept(problem, **options)
    before, outputs = copy.deepcopy(bases), problem.output().detach()

    for _ in range(3):
        _, decompositions = call(problem, bases=bases, **options)
        call(without, **options)
        assert decompositions == 0

    expected = snapshot(without)
    for key, value in snapshot(problem).items():
        torch.testing.assert_close(value, expected[key], rtol=1e-11, atol=1e-12)
    assert output_change(problem, outputs) < 1e-11
    for key, layer in bases.layers.items():
        for field, value in layer.found.items():
            then = before.layers[key].found[field]
            assert torch.equal(value, then) if isinstance(value, Tensor) else value == then


def test_keeping_leaves_everything_as_it_was() -> None:
    problem = CASES["residual-batchnorm"].build()
    problem.loss().backward()
    before = snapshot(problem)
    gradients = {n: p.grad.clone() for n, p in problem.model.named_parameters()}  # type: ignore[union-attr]
    drawn = torch.get_rng_state()

    kept(problem)

    assert identical(problem, before)
    assert all(torch.equal(p.grad, gradients[n]) for n, p in problem.model.named_parameters())  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), drawn)


def trained(problem: Problem) -> Problem:
    with torch.no_grad():
        next(problem.model.parameters()).add_(1e-9)
    return problem


def other_batch(problem: Problem) -> Problem:
    inputs = problem.inputs.clone()
    inputs[3, 5] += 1e-9
    return Problem(problem.model, problem.loss_fn, inputs, problem.targets)


def fewer_samples(problem: Problem) -> Problem:
    return Problem(problem.model, problem.loss_fn, problem.inputs[:5], problem.targets[:5])


def wider(problem: Problem) -> Problem:
    del problem
    return classification([20, 17, 12, 5], 8, lambda: nn.LeakyReLU(0.1))


def in_float32(problem: Problem) -> Problem:
    return Problem(problem.model.float(), problem.loss_fn, problem.inputs.float(), problem.targets)


def bias_frozen(problem: Problem) -> Problem:
    problem.model[2].bias.requires_grad_(False)  # type: ignore[index, union-attr]
    return problem


STALE: list[tuple[Callable[[Problem], Problem], str]] = [
    (trained, r"those of 2\.weight changed by .*e-.. of their size: either this is another batch"),
    (other_batch, r"those of 2\.weight changed by "),
    (fewer_samples, r"of 2\.weight were \[.*\(8, 16\).*\] and are \[.*\(5, 16\).*keep_bases again"),
    (bias_frozen, r"of 2\.weight were \[.*, with a bias\] and are \[.*float64\]: call teleport"),
    (wider, r"parameter 0\.weight was \(16, 20\) torch.float64 and is \(17, 20\) torch.float64"),
    (in_float32, r"parameter 0\.weight was \(16, 20\) torch.float64 and is \(16, 20\) torch.float"),
]


@pytest.mark.parametrize(("change", "message"), STALE)
def test_stale_bases_are_refused_by_name_and_nothing_moves(
    change: Callable[[Problem], Problem], message: str
) -> None:
    problem = CASES["leaky-bias"].build()
    bases = kept(problem)
    problem = change(problem)
    before = snapshot(problem)

    with pytest.raises(OptionError, match=message):
        call(problem, bases=bases)

    assert identical(problem, before)


def test_a_layer_that_could_not_move_has_no_bases() -> None:
    problem = CASES["leaky-bias"].build()
    frozen = problem.model[0].requires_grad_(False)  # type: ignore[index, operator]
    bases = kept(problem)
    frozen.requires_grad_(True)

    with pytest.raises(OptionError, match=r"there are none of 2\.weight, which could not move"):
        call(problem, bases=bases)


OPTIONS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"tau": 0.9}, "rank_rule='energy' at tau=0.9; these were cut by rank_rule='numerical' at"),
    ({"tau": 0.9}, {"tau": 0.99}, "at tau=0.99; these were cut by rank_rule='energy' at tau=0.9:"),
    ({}, {"rank_rule": "gpm"}, "expected bases cut by rank_rule='gpm' at tau=1.0"),
    ({}, {"engine": "textbook"}, "for the engine 'textbook', .*; these were kept for 'half_hvp':"),
    ({}, {"max_drift": 0.1}, "expected no bases with max_drift=0.1"),
]


@pytest.mark.parametrize(("then", "now", "message"), OPTIONS)
def test_bases_for_other_options_are_refused(
    then: dict[str, Any], now: dict[str, Any], message: str
) -> None:
    problem = CASES["leaky-bias"].build()
    bases, before = kept(problem, **then), snapshot(problem)

    with pytest.raises(OptionError, match=message):
        teleport(problem.model, problem.loss_fn, batch(problem), bases=bases, **now)

    assert identical(problem, before)


def test_other_targets_are_no_matter() -> None:
    problem = CASES["leaky-bias"].build()
    bases = kept(problem)
    other = Problem(problem.model, problem.loss_fn, problem.inputs, problem.targets.flip(0))

    assert call(other, bases=bases)[0].status is Status.DONE


def test_what_is_no_bases_is_refused(tmp_path: Path) -> None:
    problem = CASES["leaky-bias"].build()
    with pytest.raises(
        OptionError, match=r"what teleport_core\.nullspace\.keep_bases or .* got str"
    ):
        call(problem, bases="bases.pt")
    with pytest.raises(FileNotFoundError):
        Bases.load(tmp_path / "none.pt")


class Harmful:
    def __reduce__(self) -> Any:
        return eval, ("__import__('os').environ.__setitem__('KEPT_BASES_RAN', '1')",)


@pytest.mark.parametrize("content", [Harmful(), {"format": "another"}, [1.0], None])
def test_another_file_is_refused_and_nothing_in_it_runs(
    content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEPT_BASES_RAN", raising=False)
    path = tmp_path / "other.pt"
    if content is None:
        path.write_bytes(b"no file of torch's")
    else:
        torch.save(content, path)

    with pytest.raises(OptionError, match=r"a file that Bases\.save wrote, .*other\.pt is another"):
        Bases.load(path)

    assert "KEPT_BASES_RAN" not in os.environ


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[3] / "docs" / "kept_bases.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}

    exec(page.partition("```python\n")[2].partition("```")[0], names)

    assert names["result"].status is Status.DONE
    assert (tmp_path / "bases.pt").exists()

"""Loss preservation, measured on small problems whose answer is known."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from oracles import loss_and_grad_norm_sq, output_change
from small_problems import batch, classification
from torch import nn

from baselines.identity import IdentityTeleporter
from bench.measurements.units import make_units
from bench.plan.points import Point, make_plan
from bench.preservation.learning_rate import find_lr
from bench.preservation.spectra import spectra
from bench.preservation.starting_point import advance, at_threshold, subject
from bench.preservation.trajectory import trajectory
from bench.problems.build import Built, build
from bench.spec.preservation import Preservation
from bench.spec.preset import load_preset
from bench.spec.variants import parse_variant
from bench.worker.untimed import run_preservation
from teleport_core import ModelError, make
from teleport_core.nullspace.bases.bounds import layer_inputs, preactivation_bound

NULLSPACE = make("nullspace")


@pytest.fixture
def built() -> Built:
    problem = classification([20, 16, 12, 5], 8)
    first = (problem.inputs, problem.targets)
    second = batch(8, 20, 5, seed=9)
    return Built(problem.model, problem.loss_fn, [first, second], batch(30, 20, 5, seed=5))


def test_a_model_that_is_refused_elsewhere_is_refused_here(built: Built) -> None:
    random = nn.Sequential(nn.Linear(20, 16), nn.Dropout(0.3), nn.Linear(16, 5)).double()

    with pytest.raises(ModelError, match=r"drops with p=0.3 in train mode"):
        subject(replace(built, model=random), "init")


def test_a_gradient_that_is_not_the_models_has_no_rows(built: Built) -> None:
    weights = [*built.model.parameters()]

    def decayed(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        decay = torch.stack([w.square().sum() for w in weights]).sum()
        loss: torch.Tensor = built.loss_fn(output, targets) + 0.05 * decay
        return loss

    where = subject(replace(built, loss_fn=decayed), "init")

    with pytest.raises(ModelError, match="a loss_fn that reads parameters"):
        trajectory(where, NULLSPACE, 4, 0.3, 1.0)


def test_a_guarantee_that_outputs_do_not_bear_out_is_not_recorded(built: Built) -> None:
    """So long a step that rounding shows."""
    record = trajectory(subject(built, "init"), NULLSPACE, 3, 30.0, 1.0)

    assert record["guarantee"] == "APPROXIMATE"
    assert record["rows"][-1]["drift_float64"] > 1e-3


@pytest.mark.parametrize("text", ["nullspace", "identity"])
def test_only_some_methods_know_tau(text: str) -> None:
    expected = make(text, tau=0.5) if text == "nullspace" else make(text)

    assert at_threshold(make(text), 0.5) == expected


@pytest.mark.parametrize("growth", [1.5, 4.0, 50.0])
def test_the_learning_rate_gives_the_growth_asked_for(built: Built, growth: float) -> None:
    where = subject(built, "init")
    before = loss_and_grad_norm_sq(where.problem)[1]

    lr = find_lr(where, NULLSPACE, 8, growth)

    advance(where, NULLSPACE, 8, lr=lr)
    reached = loss_and_grad_norm_sq(where.problem)[1] / before
    assert 0.8 * growth < reached <= growth


def test_rows_are_the_points_of_one_call(built: Built) -> None:
    where = subject(built, "init")

    record = trajectory(where, NULLSPACE, 4, 0.3, 1.0)

    one_call = advance(where, NULLSPACE, 4, lr=0.3)
    norms = [row["grad_norm_sq"] for row in record["rows"]]
    assert norms[:4] == pytest.approx(one_call.grad_norm_sq[:4], rel=1e-9)
    assert [row["step"] for row in record["rows"]] == [0, 1, 2, 3, 4]
    assert norms == sorted(norms)
    assert record["guarantee"] == "EXACT_ON_BATCH"
    assert record["null_dims"]["2.weight"] == [17 - 8]


def test_exact_steps_keep_the_batch_and_not_the_rest(built: Built) -> None:
    record = trajectory(subject(built, "init"), NULLSPACE, 6, 0.5, 1.0)

    last = record["rows"][-1]
    assert last["drift_float64"] < 1e-12
    assert last["heldout_drift"] > 1e-6
    assert last["preactivation_bound"] < 1e-12
    assert last["preactivation_change"] < 1e-12
    assert last["loss"] == pytest.approx(last["loss_float64"], rel=1e-12)


def test_a_smaller_tau_drifts_more_and_climbs_faster(built: Built) -> None:
    where = subject(built, "init")
    ends = [trajectory(where, NULLSPACE, 4, 0.3, tau)["rows"][-1] for tau in (1.0, 0.95, 0.6)]

    assert [end["drift_float64"] for end in ends] == sorted(end["drift_float64"] for end in ends)
    assert [end["grad_norm_sq"] for end in ends] == sorted(end["grad_norm_sq"] for end in ends)
    assert ends[2]["drift_float64"] > 1e-5


@pytest.mark.parametrize("tau", [0.9, 0.6])
def test_the_bound_holds_for_the_change_it_bounds(built: Built, tau: float) -> None:
    """||dW R||_F of every layer at its old input stays below the bound."""
    where = subject(built, "init")
    inputs = layer_inputs(where.problem, tau)
    representations = [
        torch.cat([x, x.new_ones(len(x), 1)], 1).T
        for x in _inputs_of_linear_layers(where.problem.model, where.problem.inputs)
    ]
    before = {k: v.clone() for k, v in where.problem.detached().items()}
    advance(where, NULLSPACE, 4, lr=0.3, tau=tau)
    after = where.problem.detached()

    bound = preactivation_bound(inputs, before, after)

    changes = []
    for layer, representation in zip(inputs, representations, strict=True):
        weight = after[layer.weight] - before[layer.weight]
        bias = after[layer.bias] - before[layer.bias]
        change = torch.cat([weight, bias[:, None]], 1) @ representation
        changes.append(float(change.norm()))
    assert 0 < max(changes) <= bound * (1 + 1e-9)


def _inputs_of_linear_layers(model: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    seen = []
    for layer in model.children():
        if isinstance(layer, torch.nn.Linear):
            seen.append(x.detach())
        x = layer(x)
    return seen


def test_with_max_drift_the_points_are_the_ends_of_calls(built: Built) -> None:
    where = subject(built, "init")
    method = make("nullspace", max_drift=1e-3)

    record = trajectory(where, method, 4, 0.3, 1.0)

    ends = []
    for steps in range(1, 5):
        advance(where, method, steps, lr=0.3)
        ends.append(loss_and_grad_norm_sq(where.problem)[1])
    assert [row["grad_norm_sq"] for row in record["rows"][1:]] == ends
    assert all(row["drift_float64"] <= 1e-3 for row in record["rows"])
    assert record["rows"][-1]["drift_float64"] > 1e-5
    assert record["guarantee"] == "APPROXIMATE"
    for row in record["rows"][1:]:
        assert 0 < row["preactivation_change"] <= row["preactivation_bound"] * (1 + 1e-9)


def test_without_overshoot_the_points_are_the_ends_of_calls(built: Built) -> None:
    where = subject(built, "init")
    cap = 1.2 * loss_and_grad_norm_sq(where.problem)[1]
    method = make("nullspace", cap=cap, overshoot=False)

    record = trajectory(where, method, 8, 0.3, 0.9)

    assert record["teleport_status"] == "CAPPED"
    assert 0.999 * cap <= record["rows"][-1]["grad_norm_sq"] <= cap
    assert len(record["rows"]) < 9


def test_the_learning_rate_is_that_of_the_method_without_bounds(built: Built) -> None:
    where = subject(built, "init")
    bounded = make("nullspace", max_drift=1e-9, overshoot=False, cap=1e-3)

    assert find_lr(where, bounded, 4, 4.0) == find_lr(where, NULLSPACE, 4, 4.0)
    assert at_threshold(bounded, 0.5) is bounded


def test_everything_is_put_back(built: Built) -> None:
    where = subject(built, "init")
    before = where.problem.output().detach()
    start = {k: v.clone() for k, v in built.model.state_dict().items()}

    find_lr(where, NULLSPACE, 4, 4.0)
    trajectory(where, NULLSPACE, 4, 0.3, 0.9)

    assert all(torch.equal(v, start[k]) for k, v in built.model.state_dict().items())
    assert output_change(where.problem, before) == 0.0


def test_trained_start_has_a_lower_loss(built: Built) -> None:
    fresh = float(subject(built, "init").problem.loss().detach())

    trained = subject(built, "trained")

    assert float(trained.problem.loss().detach()) < 0.9 * fresh
    assert all(p.grad is None for p in built.model.parameters())


def test_steps_that_stop_early_end_the_rows(built: Built) -> None:
    where = subject(built, "init")
    cap = 1.5 * loss_and_grad_norm_sq(where.problem)[1]

    record = trajectory(where, make("nullspace", cap=cap), 8, 0.5, 1.0)

    assert 1 < len(record["rows"]) < 9
    assert record["teleport_status"] == "CAPPED"


def test_spectra_are_those_of_the_inputs(built: Built) -> None:
    where = subject(built, "init")

    records = list(spectra(where))

    first = torch.cat([where.problem.inputs, torch.ones(8, 1, dtype=torch.float64)], 1)
    expected = torch.linalg.svdvals(first).square()
    assert [r["layer"] for r in records] == ["0.weight", "2.weight", "4.weight"]
    assert [(r["rows"], r["columns"]) for r in records] == [(21, 8), (17, 8), (13, 8)]
    torch.testing.assert_close(torch.tensor(records[0]["eigenvalues"]).double(), expected.double())


def test_a_factory_without_a_held_out_batch_has_no_held_out_drift(built: Built) -> None:
    lonely = Built(built.model, built.loss_fn, built.batches[:1], None)

    row = trajectory(subject(lonely, "init"), NULLSPACE, 1, 0.3, 1.0)["rows"][-1]

    assert row["heldout_loss"] is None
    assert row["heldout_drift"] is None


def test_digits_are_real_data() -> None:
    point = Point(4, 32, 16, 3, 1, "mlp", "digits", "cpu", "float32")
    made = build(point, seed=0, bias=False, data_dir=None)

    record = trajectory(subject(made, "init"), NULLSPACE, 4, 0.2, 1.0)

    assert record["rows"][-1]["grad_norm_sq"] > record["rows"][0]["grad_norm_sq"]
    assert record["rows"][-1]["drift_float64"] < 1e-6


@pytest.mark.parametrize(
    ("text", "taus"), [("nullspace:max_drift=1e-3", [None]), ("nullspace", [1.0, 0.9])]
)
def test_a_variant_that_chooses_its_tau_is_followed_once(
    text: str, taus: list[float | None]
) -> None:
    section = Preservation(variants=(parse_variant(text),), taus=(1.0, 0.9), steps=2, d=16, n=6)
    spec = load_preset("smoke").with_overrides(preservation=section, device="cpu", threads=1)
    unit = next(u for u in make_units(make_plan(spec), []) if u.command["do"] == "preservation")
    events: list[dict[str, Any]] = []

    run_preservation(unit.command, events.append)

    records = [event["record"] for event in events if event["event"] == "record"]
    assert [record["tau"] for record in records] == taus
    assert all(record["of"] == len(taus) and record["status"] == "ok" for record in records)
    assert all(row["preactivation_change"] is not None for r in records for row in r["rows"])


@dataclass(frozen=True, kw_only=True)
class Sloppy(IdentityTeleporter):
    """A method from elsewhere whose threshold goes by another name."""

    threshold: ClassVar[str | None] = "share"

    share: float = 1.0


@pytest.mark.parametrize(
    ("text", "taus"), [("sloppy:lr=.1", [1.0, 0.9]), ("sloppy:lr=.1,share=.25", [0.25])]
)
def test_a_threshold_of_any_name_is_swept(
    monkeypatch: pytest.MonkeyPatch, text: str, taus: list[float]
) -> None:
    address = f"{__name__}:Sloppy"
    monkeypatch.setattr("teleport_core.registry._addresses", lambda: {"sloppy": address})
    seen: list[Any] = []

    def noted(where: Any, method: Any, *_: Any) -> dict[str, Any]:
        seen.append(method)
        return {}

    monkeypatch.setattr("bench.worker.untimed.trajectory", noted)
    section = Preservation(variants=(parse_variant(text),), taus=(1.0, 0.9), steps=2, d=16, n=6)
    spec = load_preset("smoke").with_overrides(preservation=section, device="cpu", threads=1)
    unit = next(u for u in make_units(make_plan(spec), []) if u.command["do"] == "preservation")
    events: list[dict[str, Any]] = []

    run_preservation(unit.command, events.append)

    records = [event["record"] for event in events if event["event"] == "record"]
    assert [record["tau"] for record in records] == taus
    assert len({record["cell_id"] for record in records}) == len(taus)
    assert seen[0].threshold == "share"

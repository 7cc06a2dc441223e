"""A sweep fits the user's model: axes it takes, methods that move it, thresholds by name."""

from collections.abc import Callable
from typing import Any

import pytest

from bench.cli.measuring.fitting import Fit, fitted, split_taus
from bench.errors import RunError, SpecError
from bench.plan.describe import describe
from bench.plan.points import make_plan
from bench.plan.units import block_unit
from bench.process.worker import WorkerGoneError
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant
from bench.worker.before import look

MODEL = "own_to_look_at.py:factory"
ALL = Fit(axes=True, methods=True)

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.drop, self.b = nn.Linear(6, 12), nn.Dropout(0.2), nn.Linear(12, 3)
    def forward(self, x):
        return self.b(torch.tanh(self.drop(self.a(x))))

def factory(n, seed):
    return Net(), nn.functional.cross_entropy, [(torch.randn(n, 6), torch.randint(0, 3, (n,)))]
def raises():
    raise RuntimeError("not today")
"""


def spec(**changes: Any) -> Spec:
    return load_preset("smoke").with_overrides(model=MODEL, device="cpu", **changes)


def looked(command: dict[str, Any]) -> list[dict[str, Any]]:
    """What the worker says, asked in this process."""
    events: list[dict[str, Any]] = []
    look.run_look(command, events.append)
    return events


@pytest.fixture
def said(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "own_to_look_at.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    return []


def test_what_the_model_does_not_take_and_what_cannot_move_it_is_left_out(said: list[str]) -> None:
    found = fitted(spec(), ALL, looked, said.append)

    assert [axis.name for axis in found.axes] == ["t"]
    assert found.letters == ("t", "n", "b")
    assert [str(each) for each in found.variants] == ["nullspace"]
    assert [str(each) for each in found.preservation.variants] == ["nullspace"]
    assert said[:3] == [
        f"{MODEL} takes no d: not swept",
        f"{MODEL} is Net, 123 parameters",
        "note: dropout is off for the measurement: drop (Dropout)",
    ]
    assert said[3].startswith("left out: symmetry: expected a stack of nn.Linear")
    assert len(said) == 4
    assert Spec.from_toml(found.to_toml("")).digest() == found.digest()
    assert fitted(found, ALL, looked, lambda _: None) == found


def test_a_plan_speaks_of_the_letters_it_has(said: list[str]) -> None:
    plan = make_plan(fitted(spec(), ALL, looked, said.append))

    text = describe(plan)
    assert "hidden width" not in text
    assert "weight layers" not in text
    assert "batch size" in text
    unit = block_unit(plan.spec, plan.blocks[0])
    assert unit.label.split()[1:] == ["n=8", "b=1"]
    assert (unit.base["d"], unit.base["l"], unit.base["n"]) == (None, None, 8)
    assert unit.command["point"]["d"] == 16  # what is built has every letter


def test_what_was_asked_for_by_name_stays(said: list[str]) -> None:
    found = fitted(spec(), Fit(axes=False, methods=False), looked, said.append)

    assert [axis.name for axis in found.axes] == ["t", "d"]
    assert [str(each) for each in found.variants] == ["nullspace", "symmetry"]
    assert not [line for line in said if "not swept" in line or "left out" in line]


def test_a_model_that_nothing_moves_is_refused(said: list[str]) -> None:
    only = spec(variants=(parse_variant("symmetry"),))
    with pytest.raises(RunError, match=r"expected a method that can move own_to_look_at\.py"):
        fitted(only, ALL, looked, said.append)


def gone(_: Any) -> Any:
    raise WorkerGoneError("crashed", "it fell")


def failed(_: Any) -> list[dict[str, Any]]:
    return [{"event": "failed", "reason": "no such file", "status": "skipped"}]


@pytest.mark.parametrize("ask", [gone, failed])
def test_what_cannot_be_looked_at_is_left_to_the_run(ask: Callable[..., Any]) -> None:
    found = fitted(spec(), ALL, ask, pytest.fail)
    assert found == spec()


def test_a_dry_run_of_it_needs_no_axis(command: Callable[..., Any], said: list[str]) -> None:
    code, printed, errors = command("run", "--preset", "smoke", "--model", MODEL, "--dry-run")

    assert code == 0
    assert "hidden width" not in printed
    assert [line.split(":")[0] for line in errors.splitlines()] == [
        *("own_to_look_at.py", "own_to_look_at.py", "note", "left out")
    ]


def test_a_network_of_ours_is_not_looked_at() -> None:
    ours = load_preset("smoke")
    assert fitted(ours, ALL, pytest.fail, pytest.fail) is ours


def test_a_factory_that_raises_still_says_what_it_takes(said: list[str]) -> None:
    raising = spec().with_overrides(model="own_to_look_at.py:raises")

    def ask(command: dict[str, Any]) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        with pytest.raises(RuntimeError, match="not today"):
            look.run_look(command, events.append)
        return events

    found = fitted(raising, ALL, ask, said.append)
    assert [axis.name for axis in found.axes] == ["t"]
    assert len(found.variants) == 2


def test_a_threshold_is_swept_for_every_method_that_has_one() -> None:
    letters, taus = split_taus(["d=16", "tau=.9,1,.99"])
    assert (letters, taus) == (["d=16"], (1.0, 0.99, 0.9))
    names = ("nullspace", "symmetry", "nullspace:engine=textbook", "nullspace:max_drift=0.1")
    start = load_preset("smoke").with_overrides(variants=tuple(map(parse_variant, names)))

    found = fitted(start, Fit(axes=False, methods=False, taus=taus), looked, pytest.fail)

    assert [str(each) for each in found.variants] == [
        *("nullspace", "nullspace:tau=0.99", "nullspace:tau=0.9"),
        "symmetry",
        "nullspace:engine=textbook",
        *(f"nullspace:engine=textbook,tau={tau}" for tau in (0.99, 0.9)),
        "nullspace:max_drift=0.1",
    ]
    assert found.preservation.taus == taus
    assert found.preservation.variants == start.preservation.variants


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (["tau=1,2"], "a level of axis tau to be a number > 0 and <= 1; got 2"),
        (["tau=a"], "expected levels of axis tau in .* got 'a': write for example tau=1,.99,.9"),
        (["tau=1,1.0"], "each entry of axis tau once|axis tau"),
        (["tau=1", "tau=.9"], "tau"),
    ],
)
def test_levels_that_are_no_thresholds_are_refused(axes: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        split_taus(axes)


def test_without_a_threshold_there_is_none_to_sweep() -> None:
    start = load_preset("smoke").with_overrides(variants=(parse_variant("symmetry"),))
    with pytest.raises(SpecError, match="a method with a threshold for --axis tau; got symmetry"):
        fitted(start, Fit(axes=False, methods=False, taus=(0.9,)), looked, pytest.fail)

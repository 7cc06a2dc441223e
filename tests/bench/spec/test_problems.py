"""Problems by name: they become the address of a factory, and bring no sizes to sweep."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from idx_files import write_part

from bench.entry_points import found
from bench.errors import SpecError
from bench.plan.points import Point
from bench.problems.build import build
from bench.problems.networks import network_for
from bench.problems.tasks import images
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.problems import GROUP, address_of
from bench.spec.spec import OWN_DATA, Spec
from bench.spec.variants import parse_variant

BOOTH = "baselines.test_functions.factories:booth"


def test_a_name_becomes_an_address_and_nothing_else_does() -> None:
    assert address_of("booth") == BOOTH
    assert [address_of(model) for model in ("mlp", "mlp-16-10", "a.b:c")] == [
        "mlp",
        "mlp-16-10",
        "a.b:c",
    ]


def test_a_preset_with_a_problem_is_swept_over_steps_and_batches() -> None:
    spec = load_preset("quick").with_overrides(
        model="booth", variants=(parse_variant("level_set"),)
    )

    assert (spec.model, spec.data) == (BOOTH, OWN_DATA)
    assert [axis.name for axis in spec.axes] == ["t", "b"]
    assert Spec.from_toml(spec.to_toml("")) == spec


def test_axes_that_are_asked_for_stay() -> None:
    spec = load_preset("quick").with_overrides(model="booth", axes=(parse_axis("d=8,16"),))

    assert [axis.name for axis in spec.axes] == ["d"]
    with pytest.raises(SpecError, match=f"expected {BOOTH} to take 'd', which is swept"):
        build(point("booth"), seed=0, bias=False, data_dir=None, swept=("d",))


def point(name: str) -> Point:
    return Point(2, 8, 4, 3, 2, found(GROUP)[name].value, OWN_DATA, "cpu", "float32")


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A few images, for the problem that is made of them."""
    for part in ("train", "t10k"):
        write_part(tmp_path / "mnist", part, 30)
    monkeypatch.setenv("TELEPORT_DATA", str(tmp_path))
    images._pairs.cache_clear()
    yield
    images._pairs.cache_clear()


@pytest.mark.parametrize("name", list(found(GROUP)))
def test_every_problem_of_ours_is_built(name: str, mnist: None) -> None:
    built = build(point(name), seed=0, bias=False, data_dir=None)

    inputs, targets = built.batches[1]
    loss = built.loss_fn(built.model(inputs), targets)
    assert len(built.batches) == 2
    assert str(loss.dtype) == "torch.float32"
    assert loss.requires_grad


def test_a_misspelt_problem_is_named() -> None:
    with pytest.raises(SpecError, match=r"expected a model to be one of .*; did you mean 'booth'"):
        network_for("boot")

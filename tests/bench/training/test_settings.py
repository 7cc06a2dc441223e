from typing import Any

import pytest

from bench.errors import SpecError
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.training.settings import Training


def test_the_grid_is_of_half_decades_around_the_usual_rate() -> None:
    assert Training(tune=5).grid("adam") == [1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2]
    assert Training(tune=1, lr=1.0).grid("sgd") == [0.1]


def test_a_rate_is_for_all_or_for_each() -> None:
    assert Training(optimizers=("sgd", "adam"), lr=2e-4).lrs == {"sgd": 2e-4, "adam": 2e-4}
    assert Training(optimizers=("sgd", "adam"), lr={"adam": 1e-5}).lrs == {"adam": 1e-5}
    assert Training().lrs == {}


def test_a_spec_keeps_its_training() -> None:
    spec = load_preset("train-quick")

    again = Spec.from_toml(spec.to_toml("train"))

    assert again.sections["training"] == spec.sections["training"]
    assert again.digest() == spec.digest()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizers": ("sdg",)}, "did you mean 'sgd'"),
        ({"optimizers": ()}, "expected at least one optimizer"),
        ({"lr": -1.0}, "training.lr to be a number > 0"),
        ({"lr": {"adam": 1.0}}, "an optimizer of training.lr to be one of sgd"),
        ({"lr": 0, "tune": 0}, "got lr = 0 and tune = 0"),
        ({"schedule": "0:9"}, "expected a schedule within 5 epochs"),
        ({"seeds": 0}, "training.seeds"),
        ({"target_at": 1.5}, "training.target_at"),
        ({"lr_schedule": "linear"}, "training.lr_schedule to be one of constant, step, cosine"),
        ({"epochs": 2.5}, "training.epochs"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Training(**changes)

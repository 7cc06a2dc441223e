"""The options with which a variant is timed."""

from math import inf

import pytest

from bench.spec.variants import parse_variant
from bench.timing.rounds import TIMING_LR, options_at
from teleport_core import make


@pytest.mark.parametrize(
    ("text", "lr"),
    [
        ("nullspace", TIMING_LR),
        ("nullspace:lr=3", TIMING_LR),
        ("nullspace:growth=4", None),
        ("level_set", TIMING_LR),
        ("level_set:rho=10", None),
        ("so2", None),
        ("so2:policy=random", TIMING_LR),
    ],
)
def test_a_tiny_lr_where_the_method_takes_one(text: str, lr: float | None) -> None:
    variant = parse_variant(text)

    options = options_at(variant, 5)

    assert options.get("lr") == lr
    assert (options["steps"], options["cap"]) == (5, inf)
    assert make(variant.method, **options).takes_lr is (lr is not None)

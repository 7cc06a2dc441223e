import math

import pytest
import torch

from teleport_core.norms import is_finite

LARGEST = torch.finfo(torch.float32).max


@pytest.mark.parametrize(
    ("entries", "finite"),
    [
        ([1.0, -2.0], True),
        ([], True),
        ([LARGEST, LARGEST], True),  # their sum is not
        ([math.nan, 1.0], False),
        ([math.inf, 1.0], False),
        ([math.inf, -math.inf], False),
        ([1j, -1j], True),
        ([complex(0, math.inf), 1], False),
    ],
)
def test_an_entry_that_is_not_finite_is_seen(entries: list[complex], finite: bool) -> None:
    assert is_finite(torch.tensor(entries)) is finite

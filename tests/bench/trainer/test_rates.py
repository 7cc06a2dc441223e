"""The learning rate at every step."""

import pytest

from bench.trainer.rates import lr_factor
from bench.training.settings import Training


def test_the_rate_rises_and_falls() -> None:
    warm = Training(warmup=4)
    assert [lr_factor(warm, k, 100) for k in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    step_wise = Training(lr_schedule="step")
    assert [lr_factor(step_wise, k, 100) for k in (0, 49, 50, 74, 75)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )
    cosine = Training(lr_schedule="cosine")
    assert [lr_factor(cosine, k, 100) for k in (0, 50, 100)] == pytest.approx([1, 0.5, 0])

"""Host and device decide by one rule, written twice."""

import math

import pytest
import torch

from teleport_core.nullspace.half_hvp.cap_rule import DeviceDecision, HostDecision
from teleport_core.projection import ROUNDING_EPS

EPS = ROUNDING_EPS * torch.finfo(torch.float32).eps


@pytest.mark.parametrize(
    ("after", "before", "found"),
    [
        ([0.5], [1.0], True),
        ([0.0], [0.0], False),
        ([0.5 * EPS], [1.0], False),
        ([2.0 * EPS], [1.0], True),
        ([0.5 * EPS, 0.5], [1.0, 1.0], True),
        ([0.5 * EPS, 0.0], [1.0, 0.0], False),
        ([math.inf], [math.inf], True),
        ([math.nan], [1.0], True),
    ],
)
def test_both_see_the_same_direction(after: list[float], before: list[float], found: bool) -> None:
    free, whole = [torch.tensor([norm]) for norm in after], [torch.tensor([n]) for n in before]
    host, device = HostDecision(math.inf), DeviceDecision(math.inf, 1, torch.device("cpu"))
    for decision in (host, device):
        decision.begin(1)
        decision.go_on(0, torch.tensor(1.0))

    assert host.has_direction(free, whole) is found
    device.has_direction(free, whole)
    assert (float(device.admit(torch.tensor(1.0))) == 1.0) is found

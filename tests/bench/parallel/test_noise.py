"""Which devices are flagged: made-up A/A of devices that are alike, and of one that is not."""

import numpy as np
import pytest

from bench.parallel.noise import Noise, flags

ROUNDS = 25


def noises(seed: int, count: int = 4, **odd: float) -> list[Noise]:
    """Devices that are alike, but for what is ``odd`` of the first."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        own = {"bias": 0.0, "noise": 0.02, "slow": 1.0} | (odd if number == 0 else {})
        logs = own["bias"] + own["noise"] * rng.standard_t(3, ROUNDS)
        seconds = own["slow"] * 1e-3 * np.exp(0.03 * rng.standard_normal(ROUNDS))
        found.append(Noise(tuple(logs), tuple(seconds)))
    return found


def test_devices_that_are_alike_are_rarely_flagged() -> None:
    runs = [flags(noises(seed, count)) for seed in range(30) for count in (1, 2, 8)]

    assert sum(any(run) for run in runs) <= 3  # of 90, at most three in a hundred


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        ({"bias": 0.2}, "device: SGD against itself differs by +2"),
        ({"noise": 0.2}, "device: noise of "),
        ({"slow": 1.3}, "device: an SGD step takes +"),
    ],
)
def test_one_that_is_not_is_flagged_and_the_others_are_not(
    odd: dict[str, float], text: str
) -> None:
    for count in (2, 4):
        runs = [flags(noises(seed, count, **odd)) for seed in range(40)]
        assert sum(any(flag.startswith(text) for flag in run[0]) for run in runs) >= 36
        assert sum(any(run[1:]) for run in runs) <= 2


def test_what_does_not_matter_is_no_flag() -> None:
    small = noises(0, bias=0.03, noise=0.001, slow=1.01)

    assert flags(small) == [[]] * 4


def test_a_device_of_which_nothing_is_known_says_why() -> None:
    lost = Noise((), (), "no such thing")

    assert flags([lost, *noises(1)])[0] == []
    assert flags([lost, lost]) == [[], []]
    assert lost.facts([]) == {"flags": [], "aa_failed": "no such thing"}
    facts = Noise((0.0, 0.1, -0.1), (2.0, 1.0, 3.0)).facts(["x"])
    assert facts["flags"] == ["x"]
    assert facts["aa_ratio"] == 1.0
    assert facts["sgd_s"] == 2.0
    assert facts["aa_scatter"] == pytest.approx(0.14826)

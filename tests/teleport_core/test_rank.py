import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from teleport_core.errors import OptionError
from teleport_core.rank import RULES, energy, energy_float32, gpm, numerical, resolve_rule

# Energies (.5, .4, .07, .03): the worked example that tells GPM's rule from Eq. 3.
WORKED = torch.tensor([0.5, 0.4, 0.07, 0.03], dtype=torch.float64).sqrt()
SHAPE = (10, 4)


def test_gpm_keeps_one_direction_fewer_than_eq3_on_the_worked_example() -> None:
    assert energy(WORKED, SHAPE, torch.float64, 0.95) == 3
    assert gpm(WORKED, SHAPE, torch.float64, 0.95) == 2


@pytest.mark.parametrize(("tau", "k"), [(0.4, 1), (0.5, 1), (0.6, 2), (0.89, 2), (0.98, 4), (1, 4)])
def test_energy_is_the_smallest_k_that_reaches_tau(tau: float, k: int) -> None:
    assert energy(WORKED, SHAPE, torch.float64, tau) == k


def test_energy_at_one_counts_values_that_a_running_sum_would_lose() -> None:
    sigma = torch.tensor([1.0, 1e-9], dtype=torch.float64)

    assert energy(sigma, (5, 2), torch.float64, 1.0) == 2
    assert energy_float32(sigma, (5, 2), torch.float64, 1.0) == 1


def test_energy_float32_that_never_reaches_one_keeps_everything() -> None:
    sigma = torch.full((7,), 1 / 3, dtype=torch.float64)
    share = (sigma.float() ** 2).cumsum(0) / (sigma.float() ** 2).sum()

    assert energy_float32(sigma, (9, 7), torch.float64, 1.0) == 7
    assert share[-2] < 1


def test_numerical_rank_ignores_rounding_of_the_data_type() -> None:
    sigma = torch.tensor([1.0, 1e-5, 1e-7, 1e-14], dtype=torch.float64)

    assert numerical(sigma, (4, 4), torch.float64, 1.0) == 4
    assert numerical(sigma, (4, 4), torch.float32, 1.0) == 2


@pytest.mark.parametrize("rule", ["numerical", "energy"])
def test_inputs_that_are_all_zero_leave_everything_free(rule: str) -> None:
    assert RULES[rule](torch.zeros(3, dtype=torch.float64), (3, 3), torch.float64, 1.0) == 0


@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=12),
    st.floats(0.01, 1.0),
)
@example([128.0, 1e-6], 1.0)
def test_energy_and_gpm_differ_by_one_at_most(values: list[float], tau: float) -> None:
    sigma = torch.tensor(sorted(values, reverse=True), dtype=torch.float64)
    shape = (20, len(values))

    k = energy(sigma, shape, torch.float64, tau)

    assert 1 <= k <= len(values)
    assert k - gpm(sigma, shape, torch.float64, tau) in (0, 1)


def test_default_rule_follows_tau() -> None:
    assert resolve_rule(None, 1.0) == "numerical"
    assert resolve_rule(None, 0.99) == "energy"


@pytest.mark.parametrize("tau", [0.0, -1.0, 1.5, float("nan"), "1", True])
def test_tau_outside_its_range_is_refused(tau: object) -> None:
    with pytest.raises(OptionError, match=r"expected tau in \(0, 1\]; got"):
        resolve_rule(None, tau)  # type: ignore[arg-type]


def test_numerical_rank_below_one_is_refused_with_the_cure() -> None:
    with pytest.raises(OptionError, match="write rank_rule='energy'"):
        resolve_rule("numerical", 0.9)


def test_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(OptionError, match="numerical, energy, gpm, energy_float32; got 'svd'"):
        resolve_rule("svd", 1.0)

"""How many directions of a layer's input are significant: the rank rules.

A representation matrix R [features, columns] has singular values sigma_1 >= sigma_2 >= ...; a
rule answers k, the number of leading left singular vectors that span the significant space. All
other directions are free to move in.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from teleport_core.errors import OptionError
from teleport_core.option_checks import as_float, require_choice

# Directions of float32 data below 3e-6 sigma_1 cannot be told from its rounding (25 eps).
_NOISE = {torch.float32: 3e-6, torch.bfloat16: 7.8e-3, torch.float16: 9.8e-4}


def numerical_cut(shape: tuple[int, int], dtype: torch.dtype) -> float:
    """Smallest sigma / sigma_1 that counts as signal for data of ``dtype``."""
    accuracy = max(shape) * torch.finfo(torch.float64).eps
    return max(accuracy, _NOISE.get(dtype, 0.0))


def numerical(sigma: Tensor, shape: tuple[int, int], dtype: torch.dtype, tau: float) -> int:
    """Numerical rank: the exact null space is what lies beyond it. Only for tau = 1."""
    del tau
    if sigma.numel() == 0 or float(sigma[0]) == 0.0:
        return 0
    return int((sigma > numerical_cut(shape, dtype) * sigma[0]).sum())


def energy(sigma: Tensor, shape: tuple[int, int], dtype: torch.dtype, tau: float) -> int:
    """Eq. 3 of the null-space paper: smallest k with sum_{i<=k} sigma_i^2 >= tau sum sigma_i^2.

    Evaluated in float64 as a sum over the tail, sum_{i>k} sigma_i^2 <= (1 - tau) sum sigma_i^2,
    which does not lose small values beside large ones.
    """
    del shape, dtype
    tail, whole = _tail_energy(sigma)
    return int((tail > (1.0 - tau) * whole).sum())


def gpm(sigma: Tensor, shape: tuple[int, int], dtype: torch.dtype, tau: float) -> int:
    """Gradient projection memory (Saha et al. 2021): #{k : cumulative energy_k < tau}.

    One less than Eq. 3 wherever the two differ: the direction that crosses tau stays free.
    """
    del shape, dtype
    tail, whole = _tail_energy(sigma)
    return int((tail[1:] > (1.0 - tau) * whole).sum())


def _tail_energy(sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of sigma_i^2 over i > k for k = 0, 1, ..., all of them; and over all i."""
    squares = sigma.double().square()
    tail = squares.flip(0).cumsum(0).flip(0)
    return torch.cat([tail, tail.new_zeros(1)]), squares.sum()


def energy_float32(sigma: Tensor, shape: tuple[int, int], dtype: torch.dtype, tau: float) -> int:
    """Eq. 3 with a running sum in float32, as a plain implementation computes it.

    At tau = 1 the sum reaches 1 early, or never; then k = min(features, columns).
    """
    del dtype
    squares = sigma.float().square()
    share = squares.cumsum(0) / squares.sum()
    reached = torch.nonzero(share >= tau)
    return int(reached[0]) + 1 if reached.numel() else min(shape)


RankRule = Callable[[Tensor, tuple[int, int], torch.dtype, float], int]

RULES: dict[str, RankRule] = {
    "numerical": numerical,
    "energy": energy,
    "gpm": gpm,
    "energy_float32": energy_float32,
}


def require_tau(tau: object) -> float:
    """The share of energy as a float.

    Raises:
        OptionError: it is no number in (0, 1].
    """
    share = as_float(tau)
    if share is None or not 0.0 < share <= 1.0:
        raise OptionError(
            f"expected tau in (0, 1]; got {tau!r}: 1 is the exact null space, smaller frees more"
        )
    return share


def resolve_rule(rank_rule: str | None, tau: float) -> str:
    """The rule's name: by default numerical rank at tau = 1, energy (Eq. 3) below.

    Raises:
        OptionError: tau outside (0, 1], an unknown rule, or numerical rank with tau < 1.
    """
    tau = require_tau(tau)
    if rank_rule is None:
        return "numerical" if tau == 1.0 else "energy"
    rank_rule = require_choice("rank_rule", rank_rule, tuple(RULES))
    if rank_rule == "numerical" and tau < 1.0:
        raise OptionError(
            f"expected tau=1 with rank_rule='numerical'; got tau={tau}: write rank_rule='energy'"
        )
    return rank_rule

"""What a COST teleport descends, L_t - gamma L_g (Zhou et al., 2503.04046).

L_t keeps the losses of all tasks; L_g stands for gradient norms, by how much the losses change
where the shared parameters are perturbed, more so for the tasks whose gradients are small.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from teleport_core.problem import Parameters

LossesAt = Callable[[Parameters], Tensor]


def ratios(gradients: Tensor) -> Tensor:
    """R_i = K (1 - ||g_i|| / sum_j ||g_j||) [tasks], which sum to K(K-1).

    Args:
        gradients: G [tasks, parameters].
    """
    norms: Tensor = torch.linalg.vector_norm(gradients, dim=1)
    return len(norms) * (1 - norms / norms.sum())


def task_objective(losses: Tensor, kept: Tensor) -> Tensor:
    """L_t = mean_i |L_i - L_i*|."""
    return (losses - kept).abs().mean()


def perturbation(parameters: Parameters, radius: float, generator: torch.Generator) -> Parameters:
    """Gaussian noise on every parameter tensor, each of norm ``radius``."""
    found = {}
    for name, value in parameters.items():
        noise = torch.randn(value.shape, generator=generator).to(value.device)
        found[name] = (noise * (radius / noise.norm())).to(value.dtype)
    return found


def gradient_objective(
    losses_at: LossesAt,
    there: Parameters,
    losses: Tensor,
    noises: list[Parameters],
    weights: Tensor,
    radius: float,
) -> Tensor:
    """L_g = mean_i max_draws R_i |L_i(w + noise) - L_i(w)| / radius.

    To first order |<g_i, noise>| / radius. All terms are in the graph of ``there``.

    Args:
        losses_at: the task losses [tasks] at given parameters.
        there: w.
        losses: those at w, in its graph.
        noises: of the parameters that are perturbed.
        weights: R [tasks].
        radius: the norm of a noise, of each parameter tensor.
    """
    perturbed = [
        losses_at({**there, **{n: there[n] + noise for n, noise in each.items()}})
        for each in noises
    ]
    rises = torch.stack([(each - losses).abs() for each in perturbed])  # [draws, tasks]
    return (weights * rises.amax(0)).mean() / radius

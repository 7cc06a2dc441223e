"""Sharpness: the loss around the parameters, on average (Zhao et al., arXiv 2305.13404, Eq. 7).

The released code draws directions from the positive orthant and divides a sum over nine radii by
ten; here directions are uniform on the sphere and the mean is a mean.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.norms import real_view, squared_norm
from teleport_core.option_checks import require_int, require_positive
from teleport_core.problem import Parameters, Problem


@dataclass(frozen=True)
class Sharpness:
    """phi(w) = the mean of L(w + t d) over radii t and directions d, ||d|| = 1, of what counts.

    Each value takes ``len(radii) * directions`` forward and backward passes, one after the other,
    so that the memory is that of one.

    Attributes:
        radii: in units of the parameters. Default: those of the released code.
        directions: for each radius, the same at every point. The released code has 100.
        seed: of the directions.
    """

    radii: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    directions: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        radii = tuple(require_positive("a radius", radius) for radius in self.radii)
        object.__setattr__(self, "radii", radii)
        require_int("directions", self.directions, at_least=1)
        require_int("the number of radii", len(radii), at_least=1)

    def value(self, problem: Problem, parameters: Parameters) -> Tensor:
        """phi, which can be differentiated once."""
        counted = {name: parameters[name] for name in problem.counted()}
        generator = torch.Generator().manual_seed(self.seed)
        total, slopes = 0.0, {name: torch.zeros_like(w) for name, w in counted.items()}
        for radius in self.radii:
            for _ in range(self.directions):
                loss, gradient = self._beside(problem, parameters, counted, radius, generator)
                total += loss
                for name, slope in zip(counted, gradient, strict=True):
                    slopes[name] += slope
        many = len(self.radii) * self.directions
        # A number of this value and this gradient: the graphs of all passes are gone by now.
        linear = [
            (real_view(slopes[name]) * (real_view(w) - real_view(w.detach()))).sum()
            for name, w in counted.items()
        ]
        return (torch.stack(linear).sum() + total) / many

    def _beside(
        self,
        problem: Problem,
        parameters: Parameters,
        counted: Parameters,
        radius: float,
        generator: torch.Generator,
    ) -> tuple[float, tuple[Tensor, ...]]:
        """The loss at a point beside the parameters, and its gradient there."""
        drawn = {
            name: torch.randn(
                w.shape,
                generator=generator,
                dtype=torch.complex128 if w.is_complex() else torch.float64,
            ).to(w)
            for name, w in counted.items()
        }
        size = squared_norm(drawn.values()).sqrt()
        with torch.enable_grad():
            moved = {
                name: (w.detach() + radius / size * drawn[name]).requires_grad_(True)
                for name, w in counted.items()
            }
            loss = problem.loss(parameters | moved)
            found = torch.autograd.grad(
                loss, [*moved.values()], allow_unused=True, materialize_grads=True
            )
        return float(loss.detach()), found

"""The divergence of the kernel's diagonal from the identity, and its descent unit by unit.

With m parameters, g_i = G_ii and s_i their factors (W -> s W) it is, as far as it depends on
t = log tau, J(t) = m log sum_i g_i / s_i^2 + 2 sum_i log s_i: convex, and along one t_k with
x = e^(2 t_k) a function of B x + C / x and of how many weights come into the units of scale k, and
how many leave them (Lebeurrier, Vayer and Gribonval, arXiv 2602.19799).
"""

import math

import torch
from torch import Tensor

from baselines.rescale.scaling import Scaling
from teleport_core.problem import Parameters


class PathKernel:
    """J and its coordinate descent.

    Args:
        scaling: the free scales.
        diagonal: g of every parameter that counts, where t = 0.
    """

    def __init__(self, scaling: Scaling, diagonal: Parameters) -> None:
        self._parameters = sum(g.numel() for g in diagonal.values())
        self._rest = 0.0
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for name, g in diagonal.items():
            if name not in scaling.uses:
                self._rest += float(g.sum())
                continue
            use = scaling.uses[name]
            over, under = (labels.expand(g.shape).flatten().cpu() for labels in use)
            parts.append((over, under, g.flatten().cpu()))
        self._over, self._under, self._g = map(torch.cat, zip(*parts, strict=True))
        moving = self._over != self._under
        self._into = _places(self._over, moving, scaling.count)
        self._out = _places(self._under, moving, scaling.count)

    def value(self, t: Tensor) -> Tensor:
        """J at t [count], which may be differentiated."""
        log_s = self._log_factors(t)
        total = self._rest + (self._g * (-2 * log_s).exp()).sum()
        return self._parameters * total.log() + 2 * log_s.sum()

    def cycle(self, t: Tensor) -> Tensor:
        """Every scale once, each to its best with the others held."""
        t = t.clone()
        terms = self._g * (-2 * self._log_factors(t)).exp()
        total = self._rest + float(terms.sum())
        for k, (into, out) in enumerate(zip(self._into, self._out, strict=True)):
            C, B = float(terms[into].sum()), float(terms[out].sum())
            if not (B > 0 and C > 0):
                continue  # no path goes through: every scale is as good
            x = self._best(B, C, total - B - C, len(into) - len(out))
            terms[out] *= x
            terms[into] /= x
            total += B * (x - 1) + C * (1 / x - 1)
            t[k] += math.log(x) / 2
        return t

    def _best(self, B: float, C: float, D: float, more: int) -> float:
        """The positive root of B (m + A) x^2 + A D x - C (m - A), A = ``more`` weights come in."""
        m = self._parameters
        a, b, c = B * (m + more), D * more, -C * (m - more)
        root = math.sqrt(b * b - 4 * a * c)
        # Of the two ways to write it that in which nothing cancels.
        return -2 * c / (b + root) if b > 0 else (root - b) / (2 * a)

    def _log_factors(self, t: Tensor) -> Tensor:
        padded = torch.cat([t.new_zeros(1), t])
        return padded[self._over] - padded[self._under]


def _places(labels: Tensor, moving: Tensor, count: int) -> list[Tensor]:
    """For each free scale the entries that have it, without those whose scales cancel."""
    kept = torch.nonzero(moving).flatten()
    order = kept[labels[kept].argsort(stable=True)]
    sizes = torch.bincount(labels[order], minlength=count + 1)
    return list(order.split(sizes.tolist())[1:])  # type: ignore[no-untyped-call]

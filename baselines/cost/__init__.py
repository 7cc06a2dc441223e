"""Several tasks: their gradients combined, when these conflict, and the teleport that is then due.

Zhou et al. (2025), arXiv 2503.04046.
"""

from baselines.cost.teleporter import CostTeleporter

__all__ = ["CostTeleporter"]

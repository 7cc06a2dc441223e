"""Equi-normalization: the scales of units with the smallest weights (arXiv 1902.10416)."""

from baselines.enorm.teleporter import EnormTeleporter

__all__ = ["EnormTeleporter"]

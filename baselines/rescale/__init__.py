"""Rescaling of units: neural teleportation by positive changes of basis (arXiv 2012.01118)."""

from baselines.rescale.teleporter import RescaleTeleporter

__all__ = ["RescaleTeleporter"]

"""Null-space teleport (Wu et al., Teleportation With Null Space Gradient Projection)."""

from teleport_core.nullspace.teleporter import ENGINES, NullSpaceTeleporter

__all__ = ["ENGINES", "NullSpaceTeleporter"]

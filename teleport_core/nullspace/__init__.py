"""Null-space teleport (Wu et al., Teleportation With Null Space Gradient Projection)."""

from teleport_core.nullspace.bases.kept import Bases
from teleport_core.nullspace.keep import keep_bases
from teleport_core.nullspace.teleporter import ENGINES, NullSpaceTeleporter

__all__ = ["ENGINES", "Bases", "NullSpaceTeleporter", "keep_bases"]

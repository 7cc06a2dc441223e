"""Level set teleportation of Mishkin, Bietti and Gower (2024, arXiv 2403.03362)."""

from baselines.level_set.teleporter import LevelSetTeleporter

__all__ = ["LevelSetTeleporter"]

"""Symmetry teleport of Zhao et al. (2022, arXiv 2205.10637; 2023, arXiv 2305.13404)."""

from baselines.symmetry.teleporter import ACTIONS, SymmetryTeleporter

__all__ = ["ACTIONS", "SymmetryTeleporter"]

"""Rotations of the test functions that are a sum of two squares (Zhao et al. 2022, 2205.10637)."""

from baselines.so2.teleporter import POLICIES, SO2Teleporter

__all__ = ["POLICIES", "SO2Teleporter"]

"""Exact symmetries that need no data: GL(d) of attention heads and other pairs, scales of norms."""

from baselines.gauge.teleporter import GaugeTeleporter

__all__ = ["GaugeTeleporter"]

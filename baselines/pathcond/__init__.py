"""Path-conditioned rescaling: scales that condition the kernel of a net's paths."""

from baselines.pathcond.teleporter import PathCondTeleporter

__all__ = ["PathCondTeleporter"]

"""Networks by name, those of the null-space paper among them; see ``registry`` for one more."""

from bench.problems.networks.network import Shape
from bench.problems.networks.registry import network_for

__all__ = ["Shape", "network_for"]

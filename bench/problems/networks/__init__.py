"""The networks of the null-space paper by name; ``MODELS`` has one line for each."""

from bench.problems.networks.network import Shape, network_for

__all__ = ["Shape", "network_for"]

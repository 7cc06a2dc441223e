"""Orthonormal bases of input spaces, and what they bound."""

"""Calls that ranks share: times, efficiency and what goes over the wire."""

"""Clocks, rounds and when to stop; runs in the worker."""

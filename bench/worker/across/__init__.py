"""Calls that the ranks of a group share: a process each, started and asked by the worker."""

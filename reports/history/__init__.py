"""Verdicts of many runs, one after another."""

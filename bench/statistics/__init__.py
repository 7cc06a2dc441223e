"""Medians, intervals, tests and growth laws: numbers in, numbers out."""

"""Verdicts in the formats of others."""

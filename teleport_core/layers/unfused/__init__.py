"""Calls that torch differentiates only once, made of calls that it differentiates twice."""

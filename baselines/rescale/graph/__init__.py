"""The units of a model and the scales they can have, found by following one pass of it."""

"""A run as it was recorded."""

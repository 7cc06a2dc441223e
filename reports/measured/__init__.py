"""A live model that was measured: its numbers, its table, its figure."""

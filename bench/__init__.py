"""What to run, how to time it, where to keep it, what it means."""

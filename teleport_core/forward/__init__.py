"""One forward pass that leaves everything but its output as it was."""

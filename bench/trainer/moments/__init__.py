"""What happens to a trial at a moment of its schedule: teleports, and what controls do instead."""

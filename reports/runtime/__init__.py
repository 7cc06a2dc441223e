"""What teleports cost: figures, whole calls, ratios, crossings, schedules."""

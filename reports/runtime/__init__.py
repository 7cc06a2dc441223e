"""What a call costs: figures, ratios, crossings, schedules."""

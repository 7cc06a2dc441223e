"""Two runs side by side: ratios of their times, and what differs between their machines."""

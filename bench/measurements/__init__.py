"""What a run can measure: each kind with its settings, units of work and records; no torch."""

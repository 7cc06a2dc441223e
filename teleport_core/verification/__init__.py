"""What a call is held to: the problem, the model, and what the model itself says."""

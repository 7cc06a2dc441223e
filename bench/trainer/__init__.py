"""Carries training experiments out: trials in turns, clocks, checkpoints."""

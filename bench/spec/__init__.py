"""What is asked for: letters, variants, settings, presets, and their checks."""

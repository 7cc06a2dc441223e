"""The commands that give verdicts: gate, compare and calibrate."""

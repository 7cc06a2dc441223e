"""Other teleport methods behind the same interface, to measure and to compare with."""

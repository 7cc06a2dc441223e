"""Who does what, where several runners share a run directory: a file for every unit at work."""

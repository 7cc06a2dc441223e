"""Where records are kept: the run directory, its lock and its journal."""

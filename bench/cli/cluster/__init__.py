"""Commands for a run on a SLURM cluster."""

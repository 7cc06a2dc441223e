"""A sweep on a SLURM cluster: an array of its parts, their states, and one run of all of them."""

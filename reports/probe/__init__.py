"""Whether a teleport could pay, asked before anybody trains."""

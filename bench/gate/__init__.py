"""The working tree against a revision, in turns on one machine."""

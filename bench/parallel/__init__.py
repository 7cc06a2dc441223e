"""All devices of a host at once: a worker on each, and a run directory that runners may share."""

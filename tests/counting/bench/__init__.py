"""A stand-in for the harness in a worker that counts; what it lacks is the real one's."""

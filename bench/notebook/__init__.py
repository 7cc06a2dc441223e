"""A live model measured in the process that holds it."""

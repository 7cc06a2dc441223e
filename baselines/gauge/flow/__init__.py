"""Which features of a model go where, in one forward pass."""

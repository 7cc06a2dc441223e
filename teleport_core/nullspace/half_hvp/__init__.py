"""The fast engine for stacks of linear layers."""

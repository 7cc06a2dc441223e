"""Tables of cells and of growth."""

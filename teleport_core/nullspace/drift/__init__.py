"""Steps in the largest space that keeps the loss."""

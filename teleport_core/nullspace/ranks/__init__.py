"""The exact step where each rank has some of the samples."""

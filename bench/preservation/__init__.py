"""What a teleport does to the loss; runs in the worker."""

"""Training on several tasks: one direction from the gradients of all."""

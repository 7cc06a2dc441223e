"""What a teleport does to the loss: tables and figures."""

"""What machine and which code a number comes from."""

"""What a teleport could bring before anybody trains: moves, then short sweeps of learning rates."""

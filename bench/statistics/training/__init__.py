"""Does a teleport pay: times to a target, paired over seeds, and the verdict on them."""

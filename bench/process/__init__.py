"""The other process: how it is started, what is said to it, how it ends with its parent."""

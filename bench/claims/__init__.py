"""The ledger: what has been claimed of teleports, what tests it, and what came out."""

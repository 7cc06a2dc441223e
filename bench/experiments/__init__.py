"""Short tests of claims: each a function of dtype and seed that returns what it found."""

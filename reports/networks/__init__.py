"""Methods on networks: which of them applies where, at what cost and to what gain."""

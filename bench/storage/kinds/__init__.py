"""Records of single kinds of measurements."""

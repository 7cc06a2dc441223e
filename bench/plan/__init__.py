"""What a spec comes to: points, blocks and units of work."""

"""The last step, shortened to end below the cap."""

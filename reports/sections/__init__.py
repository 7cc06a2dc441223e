"""What a section of the page is, and those that belong to no measurement."""

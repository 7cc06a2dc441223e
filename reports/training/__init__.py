"""Does a teleport pay: what training experiments come to, in tables and on the page."""

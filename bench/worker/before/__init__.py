"""What is found out before a plan is made."""

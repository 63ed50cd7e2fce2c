"""What turns a checked script into a protected one: our own compiler here, other services behind the same interface."""

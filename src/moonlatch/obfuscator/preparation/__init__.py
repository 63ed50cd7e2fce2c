"""What happens to a script before its passes: macros, variables of the running copy, dead branches."""

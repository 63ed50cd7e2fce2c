"""What is known of a script before anything is changed: scopes, constants, limits of the languages."""

"""Delivers what happened to the endpoints that asked for it."""

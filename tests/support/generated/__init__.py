"""Luau programs drawn at random: deterministic, always ending, printing all they compute, using the whole language."""

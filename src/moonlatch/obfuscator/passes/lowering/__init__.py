"""Luau's own constructs written in Lua 5.1: the parts of the pass `lower_luau`."""

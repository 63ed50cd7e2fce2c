"""Moonlatch licenses, protects and delivers Lua and Luau scripts."""

__version__ = "0.1.0"

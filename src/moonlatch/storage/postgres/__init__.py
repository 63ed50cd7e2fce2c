"""The engine for many processes. Importing any of it raises MissingExtraError where its driver is not installed."""

from moonlatch.extras import needing

with needing("postgres"):
    import asyncpg  # noqa: F401

"""The parts that need a library which not every installation has: what to install is said where one is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_NEEDS = {
    "age": ("pyrage", "an encrypted backup"),
    "postgres": ("asyncpg", "PostgreSQL"),
    "redis": ("redis", "Redis"),
}
"""By the name of the extra in pyproject.toml: the library's package, and what it is for."""


class MissingExtraError(Exception):
    """A library that the settings ask for is not installed; the message says how to install it."""


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Around the imports of an extra's library. Raises MissingExtraError where it is not installed."""
    library, purpose = _NEEDS[extra]
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library:
            raise
        raise MissingExtraError(
            f"{purpose} needs the library {library}, which is not installed: pip install 'moonlatch[{extra}]'"
        ) from None

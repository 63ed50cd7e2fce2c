"""Server variables: what their names and values may be, and whose goes before whose. Pure.

Not to be confused with the runtime variables of `variables.py`, which say who the user is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

NAME = "[A-Za-z_][A-Za-z0-9_.-]{0,63}"
"""A regular expression of the whole of it."""

MAX_VALUE_BYTES = 8_192
"""Of a value as JSON in UTF-8."""

MAX_PER_OWNER = 100
MAX_CACHE_SECONDS = 86_400
CACHE_SECONDS = 300
"""How long a copy keeps a value where its seller says nothing."""

MISSING_CACHE_SECONDS = 60
"""How long a copy keeps that there is none of a name."""


class Owned(Protocol):
    """A variable, by whose it is."""

    @property
    def script_id(self) -> str | None: ...

    @property
    def user_id(self) -> str | None: ...


V = TypeVar("V", bound=Owned)


def foremost(found: Iterable[V]) -> V | None:
    """Of one name's variables the one that holds for a copy: the key's before the script's before the project's."""
    return min(found, key=_rank, default=None)


def _rank(variable: Owned) -> int:
    if variable.user_id is not None:
        return 0
    return 1 if variable.script_id is not None else 2

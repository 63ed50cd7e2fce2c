"""How Python's collector of cyclic garbage works for a server, and while it is loaded."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_THRESHOLDS = 10_000, 10, 10
"""New objects before a young collection, young ones before a middle one, middle ones before a full one."""


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """While a program is loaded nothing of it is garbage, and looking for some takes a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """Take what is there now for permanent, and look for garbage less often: called once, when everything that stays is there.

    Without the first a full collection would stop every client for 50 ms and more. As for the second: our own objects
    hold each other in no circles, and every session is a hundred objects to look through. With the usual thresholds the
    collector takes a fifth of the time in which many sessions open.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)

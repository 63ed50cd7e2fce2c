"""What the program logs, as an operator's log collector gets it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

from moonlatch.logs import BoundedHandler, Style


@contextlib.contextmanager
def logged(style: Style, level: int = logging.INFO) -> Iterator[Callable[[], list[Any]]]:
    """Log into memory; gives a function for the lines so far: objects for `json`, else text."""
    stream = io.StringIO()
    handler = BoundedHandler(stream, style)
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(level)

    def lines() -> list[Any]:
        found = stream.getvalue().splitlines()
        return [json.loads(line) for line in found] if style == "json" else found

    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()

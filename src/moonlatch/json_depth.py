"""How deep JSON may be nested: in requests to the management API, and in what running copies answer, which its replies carry on."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 64


def is_too_deep(value: Any) -> bool:
    """Return whether lists and objects lie in each other more than `MAX_DEPTH` levels deep; without recursion, so at any depth."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True

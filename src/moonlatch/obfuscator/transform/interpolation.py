"""Interpolated strings as the `format` call that Luau compiles them to anyway."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer import unwrapped


def format_call(node: s.InterpolatedString) -> s.String | s.MethodCall:
    """A string when nothing is interpolated; otherwise a call of which the object is a string."""
    values = node.values
    parts = [part.replace(b"%", b"%%") for part in node.parts] if values else node.parts
    text = s.String(b"%*".join(parts), node.line)
    if not values:
        return text
    if isinstance(unwrapped(values[-1]), s.MULTIPLE):
        values[-1] = s.Group(values[-1], node.line)
    return s.MethodCall(text, "format", values, node.line)

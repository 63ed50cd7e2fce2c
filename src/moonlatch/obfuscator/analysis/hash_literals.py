"""Warns of text in backticks: Luau takes it for text, and FiveM for the hash of it. It changes nothing."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.target import Target

_MOST_LINES = 8
_LONGEST_SHOWN = 40


def hash_warnings(chunk: s.Chunk, target: Target | None) -> list[str]:
    """One warning for all such texts, none where Luau is the target that was asked for."""
    texts = chunk.backtick_texts
    if not texts or target is Target.LUAU:
        return []
    first = texts[0]
    shown = first.value.decode("utf-8", "replace")
    shown = shown if shown.isprintable() and len(shown) <= _LONGEST_SHOWN and '"' not in shown else "..."
    lines = sorted({text.line for text in texts} - {first.line})
    others = ", ".join(map(str, lines[:_MOST_LINES])) + (", ..." if len(lines) > _MOST_LINES else "")
    also = f" (also on {'line' if len(lines) == 1 else 'lines'} {others})" if lines else ""
    warning = (
        f"line {first.line}: `{shown}` in backticks is text here, as in Luau, and not FiveM's hash of it{also};"
        f' for the hash write joaat("{shown}") or GetHashKey("{shown}"), for the text "{shown}",'
        " or choose the target 'luau'"
    )
    return [warning]

"""Realistic scripts of any size, made out of the corpus: its files over and over, each copy with names of its own."""

from __future__ import annotations

import re
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "tests" / "obfuscator" / "corpus" / "accepted"
TEMPLATES = ("inventory.luau", "algorithms.luau", "lua51.lua")
FUNCTION_NAME = re.compile(r"\b(local function|local) (\w+)")


def realistic_script(size: int) -> str:
    """A script of at least `size` bytes that Luau accepts; the same for the same size."""
    templates = [(CORPUS / name).read_text("utf-8") for name in TEMPLATES]
    parts = ["local parts = {}\n"]
    length = 0
    while length < size:
        index = len(parts) - 1
        part = _renamed(templates[index % len(templates)], index)
        parts.append(part)
        length += len(part)
    return "".join(parts)


def _renamed(template: str, index: int) -> str:
    """A copy in a function of its own, its outermost locals named after it."""
    names = {name for _, name in FUNCTION_NAME.findall(template) if name not in ("function", "self", "type")}
    pattern = re.compile(rf"(?<![.:\w\"'])(?:{'|'.join(sorted(names, key=len, reverse=True))})\b")
    body = re.sub(r"^export type", "type", template, flags=re.MULTILINE)
    body = pattern.sub(lambda match: f"{match[0]}_{index}", body)
    return f"parts[{index}] = function(...)\n{body}end\n\nprint(parts[{index}]())\n\n"

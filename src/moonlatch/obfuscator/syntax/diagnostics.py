"""Faults in a script, and how they are shown to people; it finds none itself."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EXCERPT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault. `line` and `column` are 1-based, the column counts bytes; `message` is worded as Luau words it."""

    line: int
    column: int
    message: str


class LuauSyntaxError(Exception):
    """A script that Luau would refuse. `diagnostics` has at least one entry, in the order Luau finds them."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__(diagnostics[0].message)
        self.diagnostics = diagnostics


def format_diagnostic(source: bytes | str, diagnostic: Diagnostic, name: str = "script") -> str:
    """`name:LINE: MESSAGE`, and below it the line with a caret under the column; long lines are cut around the caret."""
    text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
    head = f"{name}:{diagnostic.line}: {diagnostic.message}"
    lines = text.split("\n")
    if diagnostic.line > len(lines):
        return head
    line = lines[diagnostic.line - 1].rstrip("\r")
    caret = len(line.encode("utf-8", "replace")[: diagnostic.column - 1].decode("utf-8", "replace"))
    first = max(0, caret - MAX_EXCERPT_CHARACTERS // 2)
    excerpt = "".join(
        character if character.isprintable() else " " for character in line[first : first + MAX_EXCERPT_CHARACTERS]
    )
    label = f"{diagnostic.line} | "
    return f"{head}\n{label}{excerpt}\n{' ' * (len(label) + caret - first)}^"


def parser_output(diagnostics: list[Diagnostic], name: str = "script") -> str:
    """What Luau itself would print: one `name:LINE: MESSAGE` per fault, its first message first."""
    return "\n".join(f"{name}:{diagnostic.line}: {diagnostic.message}" for diagnostic in diagnostics)

"""Faults in a script, and how they are shown to people; it finds none itself."""

from __future__ import annotations

from dataclasses import dataclass

from moonlatch.obfuscator.syntax.first_bytes import without_marks

MAX_EXCERPT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault. `line` and `column` are 1-based, the column counts bytes; `message` is worded as Luau words it.

    `hint` is ours: why the script as a whole is refused and what to do, where that is known.
    """

    line: int
    column: int
    message: str
    hint: str = ""


class LuauSyntaxError(Exception):
    """A script that Luau would refuse. `diagnostics` has at least one entry, in the order Luau finds them."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__(diagnostics[0].message)
        self.diagnostics = diagnostics


def format_diagnostic(source: bytes | str, diagnostic: Diagnostic, name: str = "script") -> str:
    """`name:LINE: MESSAGE`, and below it the line with a caret under the column; long lines are cut around the caret."""
    data = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    text = without_marks(data).decode("utf-8", "replace")
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


def hint_of(diagnostics: list[Diagnostic]) -> str:
    """Why the script as a whole is refused, empty where nothing is known beyond the faults."""
    return next((diagnostic.hint for diagnostic in diagnostics if diagnostic.hint), "")

"""Everything Luau would reject about a script, from its parser and its compiler, as diagnostics; never raises for a bad script."""

from __future__ import annotations

from moonlatch.obfuscator.analysis.limits import limit_faults
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic, LuauSyntaxError
from moonlatch.obfuscator.syntax.explanation import explained
from moonlatch.obfuscator.syntax.first_bytes import without_marks
from moonlatch.obfuscator.syntax.parser import parse, tokens_of, utf8
from moonlatch.obfuscator.syntax.places import parse_with_places
from moonlatch.obfuscator.syntax.tree import Chunk


def check(source: bytes | str) -> list[Diagnostic]:
    """The faults of a script, Luau's first one first; empty when Luau accepts it.

    One thing more than Luau's own is refused: a NUL byte, after which Luau would silently ignore the rest of the script.
    """
    try:
        chunk = parse(source)
    except LuauSyntaxError as error:
        return error.diagnostics
    return check_parsed(chunk, source)


def syntax_faults(source: bytes) -> list[Diagnostic]:
    """What only the parser rejects: for texts that another engine wrote for a compiler with other limits."""
    try:
        parse(source)
    except LuauSyntaxError as error:
        return error.diagnostics
    return _nul_byte(source)


def check_parsed(chunk: Chunk, source: bytes | str) -> list[Diagnostic]:
    """What only Luau's compiler rejects about the script that `chunk` was parsed from."""
    faults = _nul_byte(utf8(source))
    if faults:
        return faults
    return limit_faults(parse_with_places(source)) if limit_faults(chunk) else []


def _nul_byte(source: bytes) -> list[Diagnostic]:
    data = without_marks(source)
    nul = data.find(b"\0")
    if nul < 0:
        return []
    line = data.count(b"\n", 0, nul) + 1
    column = nul - data.rfind(b"\n", 0, nul)
    fault = Diagnostic(line, column, "Unexpected NUL byte; Luau ignores everything after it")
    return explained([fault], source, tokens_of(b""))

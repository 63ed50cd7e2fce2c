"""Everything Luau would reject about a script, from its parser and its compiler, as diagnostics; never raises for a bad script."""

from __future__ import annotations

from dataclasses import replace

from moonlatch.obfuscator.analysis.limits import limit_faults
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic, LuauSyntaxError
from moonlatch.obfuscator.syntax.parser import parse, utf8
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
    data = utf8(source)
    faults = _nul_byte(data)
    if faults:
        return faults
    faults = limit_faults(chunk)
    lines = data.split(b"\n") if faults else []
    return [_at_first_character(fault, lines[fault.line - 1]) for fault in faults]


def _nul_byte(data: bytes) -> list[Diagnostic]:
    nul = data.find(b"\0")
    if nul < 0:
        return []
    line = data.count(b"\n", 0, nul) + 1
    column = nul - data.rfind(b"\n", 0, nul)
    return [Diagnostic(line, column, "Unexpected NUL byte; Luau ignores everything after it")]


def _at_first_character(fault: Diagnostic, line: bytes) -> Diagnostic:
    return replace(fault, column=len(line) - len(line.lstrip()) + 1)

"""Says why a script is refused as a whole where its faults do not: it is of another dialect, or it is not a script at all.

Luau's own first message stays. The faults that follow from the same cause go, and the cause becomes a hint.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.dialects import CFXLUA, HASH, Construct, constructs, described
from moonlatch.obfuscator.syntax.first_bytes import BYTE_ORDER_MARK, what_else_it_is
from moonlatch.obfuscator.syntax.lexer import Tokens

_MARK_INSIDE = "A byte order mark stands in the middle of the script, where files were joined: delete it."


def explained(faults: list[Diagnostic], source: bytes, tokens: Tokens) -> list[Diagnostic]:
    """The faults up to the first that has a cause beyond itself, which gets a hint; all of them where there is none."""
    reason = what_else_it_is(source)
    if reason:
        return [replace(faults[0], hint=reason)]
    if BYTE_ORDER_MARK.decode("latin-1") in tokens.source:
        for number, fault in enumerate(faults):
            if "U+feff" in fault.message:
                return [*faults[:number], replace(fault, hint=_MARK_INSIDE)]
    found = list(constructs(tokens))
    if not found:
        return faults
    places = list(tokens.places())
    for number, fault in enumerate(faults):
        at = bisect_right(places, (fault.line, fault.column)) - 1
        cause = _cause(at, fault.line, found, tokens)
        if cause is not None:
            lines_with_faults = {one.line for one in faults}
            hint = described(_of_one_mind(cause, found, lines_with_faults, tokens), tokens)
            return [*faults[:number], replace(fault, hint=hint)]
    return faults


def _cause(at: int, line: int, found: list[Construct], tokens: Tokens) -> Construct | None:
    """What accounts for a fault at token `at`; what Luau has nowhere comes first."""
    causes = [one for one in found if one.accounts_for(at - one.index, on_same_line=tokens.lines[one.index] == line)]
    return min(causes, key=lambda one: (not one.is_certain, one.index), default=None)


def _of_one_mind(
    cause: Construct, found: list[Construct], lines_with_faults: set[int], tokens: Tokens
) -> list[Construct]:
    """The cause and everything else that is foreign for certain, or stands where Luau stumbled; hashes with FiveM's other syntax."""
    foreign = [
        one
        for one in found
        if one is cause or one.is_certain or (one.spelling != HASH and tokens.lines[one.index] in lines_with_faults)
    ]
    if CFXLUA in frozenset.intersection(*(one.dialects for one in foreign)):
        foreign += [one for one in found if one.spelling == HASH]
    return sorted(foreign, key=lambda one: one.index)

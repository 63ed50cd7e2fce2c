"""Recognises what other dialects of Lua have and Luau has not, in the tokens of a script that Luau refuses.

Sources: the manuals of Lua 5.2 to 5.5, LuaJIT's "Extensions", the wiki of Garry's Mod, and FiveM's "Lua power patches".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from moonlatch.obfuscator.syntax.lexer import EOF, INTERPOLATED, NAME, NUMBER, RESERVED, Tokens

LUA52, LUA53, LUA54, LUA55 = "Lua 5.2", "Lua 5.3", "Lua 5.4", "Lua 5.5"
LUAJIT, GLUA, CFXLUA = "LuaJIT", "GLua (Garry's Mod)", "CfxLua (FiveM)"

_FROM_52 = frozenset({LUA52, LUA53, LUA54, LUA55, CFXLUA})
_WITH_GOTO = _FROM_52 | {LUAJIT, GLUA}
_FROM_53 = _FROM_52 - {LUA52}
_FROM_54 = _FROM_53 - {LUA53}
_PLAIN_LUAS = (LUA52, LUA53, LUA54, LUA55)

_MOST_NAMED = 6
_BEFORE_STATEMENTS = RESERVED | {";"}
_NUMBER_OF_LUAJIT = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)[uU]?[lL][lL]")
_HEXADECIMAL_FLOAT = re.compile(r"0[xX][0-9a-fA-F]*(?:[pP]|\.[0-9a-fA-F]+)")
_BIT_FUNCTIONS = {"&": "band", "|": "bor", "<<": "lshift", ">>": "rshift"}


_ANYWHERE = 8
"""Tokens behind a construct up to which Luau may notice it: `a << b` begins a list of types to it."""
_REACH = {"&": 1, "|": 1, ">>": 1, "<<": _ANYWHERE, "// comment": _ANYWHERE}
"""Of what is right in Luau elsewhere, as operators of types: these count only where Luau stumbles over them."""
HASH = "`hash`"


@dataclass(frozen=True, slots=True)
class Construct:
    """One thing that stands at token `index`: its own spelling, who has it, and what to write in Luau and Lua 5.1."""

    index: int
    spelling: str
    dialects: frozenset[str]
    instead: str

    @property
    def is_certain(self) -> bool:
        """Luau has it nowhere."""
        return self.spelling not in _REACH and self.spelling != HASH

    def accounts_for(self, tokens_between: int, *, on_same_line: bool) -> bool:
        """True when it is the cause of a fault so many tokens behind it."""
        if self.spelling == HASH:
            return False
        is_near = 0 <= tokens_between <= _REACH.get(self.spelling, _ANYWHERE)
        return is_near or (self.is_certain and on_same_line)


def constructs(tokens: Tokens) -> Iterator[Construct]:
    """Everything in a script that some other dialect has, in its order. What Luau has as well (`A | B` of types) may be among it."""
    for index, kind in enumerate(tokens.kinds):
        recognise = _BY_KIND.get(kind)
        found = recognise(tokens, index) if recognise is not None else None
        if found is not None:
            spelling, dialects, instead = found
            yield Construct(index, spelling, frozenset(dialects), instead)
        if kind == EOF:
            return


def described(found: list[Construct], tokens: Tokens) -> str:
    """One sentence on the dialect that has it all, and one on what to write for each construct where it first stands."""
    first: dict[str, Construct] = {}
    for one in found:
        first.setdefault(one.spelling, one)
    common = frozenset.intersection(*(one.dialects for one in first.values()))
    named = [
        f"instead of {_quoted(one.spelling)} (line {tokens.lines[one.index]}) write {one.instead}"
        for one in list(first.values())[:_MOST_NAMED]
    ]
    whose = f"This reads like {_listed(common)}" if common else "This mixes other dialects of Lua"
    return f"{whose}; Moonlatch takes Luau and Lua 5.1. I{'; '.join(named)[1:]}."


def _quoted(spelling: str) -> str:
    return "a hash in backticks" if spelling == HASH else f"`{spelling}`"


def _listed(dialects: frozenset[str]) -> str:
    """`Lua 5.3 or newer, LuaJIT or GLua`."""
    plain = [name for name in _PLAIN_LUAS if name in dialects]
    names = plain[:1]
    if len(plain) > 1:
        names = [f"{plain[0]} or newer"]
    names += [name for name in (LUAJIT, GLUA, CFXLUA) if name in dialects]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


_Found = tuple[str, frozenset[str] | set[str], str]


def _touches(tokens: Tokens, index: int, *texts: str) -> bool:
    """True when the tokens after `index` are these, with nothing in between."""
    return all(
        tokens.texts[place] == text and not tokens.gaps[place] for place, text in enumerate(texts, start=index + 1)
    )


def _is_on_this_line(tokens: Tokens, index: int) -> bool:
    """True when a token stands on the line on which the one before it ends."""
    return "\n" not in tokens.gaps[index]


def _name(tokens: Tokens, index: int) -> _Found | None:
    text, following = tokens.texts[index], tokens.kinds[index + 1]
    before = tokens.kinds[index - 1] if index else ""
    if text == "goto" and following == NAME and before not in (".", ":", "function", "local"):
        return "goto", _WITH_GOTO, "`continue`, `break`, or a function that returns"
    if text == "global" and (following in (NAME, "function") or _touches(tokens, index, "<")):
        return "global", {LUA55}, "the names alone, without `global`"
    if text == "defer" and following in (NAME, "do", "function") and _is_on_this_line(tokens, index + 1):
        return "defer", {CFXLUA}, "the call at the end of the function"
    return None


def _label(tokens: Tokens, index: int) -> _Found | None:
    """Which begins a statement; `x :: T :: T` is an assertion too many."""
    begins = not _is_on_this_line(tokens, index) or index == 0 or tokens.kinds[index - 1] in _BEFORE_STATEMENTS
    is_label = begins and tokens.kinds[index + 1] == NAME and tokens.kinds[index + 2] == "::"
    return ("::label::", _WITH_GOTO, "a loop or a function instead of the jump") if is_label else None


def _less(tokens: Tokens, index: int) -> _Found | None:
    if tokens.texts[index + 1] in ("const", "close") and tokens.texts[index + 2] == ">":
        word = tokens.texts[index + 1]
        instead = (
            "the name alone, or Luau's `const x = 1`" if word == "const" else "the name alone, and close it yourself"
        )
        return f"<{word}>", _FROM_54, instead
    if _touches(tokens, index, "<="):
        return _compound("<<=", "lshift")
    return _bits("<<") if _touches(tokens, index, "<") else None


def _greater(tokens: Tokens, index: int) -> _Found | None:
    if _touches(tokens, index, ">="):
        return _compound(">>=", "rshift")
    return _bits(">>") if _touches(tokens, index, ">") else None


def _ampersand(tokens: Tokens, index: int) -> _Found | None:
    if _touches(tokens, index, "&"):
        return "&&", {GLUA}, "`and`"
    if tokens.texts[index - 1] == "&":
        return None
    return _compound("&=", "band") if _touches(tokens, index, "=") else _bits("&")


def _bar(tokens: Tokens, index: int) -> _Found | None:
    if _touches(tokens, index, "|"):
        return "||", {GLUA}, "`or`"
    if tokens.texts[index - 1] == "|":
        return None
    return _compound("|=", "bor") if _touches(tokens, index, "=") else _bits("|")


def _bits(operator: str) -> _Found:
    return operator, _FROM_53, f"`bit32.{_BIT_FUNCTIONS[operator]}(a, b)`"


def _compound(operator: str, function: str) -> _Found:
    return operator, {CFXLUA}, f"`a = bit32.{function}(a, b)`"


def _tilde(_tokens: Tokens, _index: int) -> _Found | None:
    return "~", _FROM_53, "`bit32.bxor(a, b)`, and `bit32.bnot(a)` for one value"


def _exclamation(tokens: Tokens, index: int) -> _Found | None:
    if _touches(tokens, index, "=") or _touches(tokens, index, "=="):
        return "!=", {GLUA}, "`~=`"
    return "!", {GLUA}, "`not`"


def _slash(tokens: Tokens, index: int) -> _Found | None:
    return (
        ("/*", {GLUA, CFXLUA}, "`--[[ ... ]]`")
        if _touches(tokens, index, "*") or _touches(tokens, index, "*=")
        else None
    )


def _two_slashes(tokens: Tokens, index: int) -> _Found | None:
    """A comment, where the line begins with it or where words follow that no expression has side by side."""
    begins_line = index == 0 or not _is_on_this_line(tokens, index)
    words = (tokens.kinds[index + 1], tokens.kinds[index + 2])
    is_prose = words == (NAME, NAME) and _is_on_this_line(tokens, index + 1) and _is_on_this_line(tokens, index + 2)
    return ("// comment", {GLUA}, "`-- comment`") if begins_line or is_prose else None


def _question(tokens: Tokens, index: int) -> _Found | None:
    following = tokens.kinds[index + 1]
    is_navigation = following in (".", "[") and not tokens.gaps[index + 1]
    return ("?.", {CFXLUA}, "`a and a.b`") if is_navigation else None


def _local(tokens: Tokens, index: int) -> _Found | None:
    """`local a, b in t`."""
    place = index + 1
    while tokens.kinds[place] == NAME and tokens.kinds[place + 1] == ",":
        place += 2
    if place == index + 1 and tokens.kinds[place] != NAME:
        return None
    is_unpacking = tokens.kinds[place] == NAME and tokens.kinds[place + 1] == "in"
    return ("local a, b in t", {CFXLUA}, "`local a, b = t.a, t.b`") if is_unpacking else None


def _dot(tokens: Tokens, index: int) -> _Found | None:
    is_member = tokens.kinds[index - 1] in ("{", ",", ";") and tokens.kinds[index + 1] == NAME
    return ("{ .a, .b }", {CFXLUA}, "`{ a = true, b = true }`") if is_member else None


def _number(tokens: Tokens, index: int) -> _Found | None:
    text = tokens.texts[index]
    if _NUMBER_OF_LUAJIT.fullmatch(text):
        return text, {LUAJIT}, "a number without the ending, or a text where it has more than 53 bits"
    following = "" if tokens.gaps[index + 1] else tokens.texts[index + 1]  # `0x1.8` is two numbers to Luau
    is_float = text[:2] in ("0x", "0X") and _HEXADECIMAL_FLOAT.match(text + following)
    return ("0x1.8p3", _WITH_GOTO, "the number in decimal") if is_float else None


def _backticks(tokens: Tokens, index: int) -> _Found | None:
    text = tokens.texts[index][1:-1]
    return HASH, {CFXLUA}, f'`joaat("{text}")`' if text.isprintable() and '"' not in text else "`joaat(text)`"


_BY_KIND: dict[str, Callable[[Tokens, int], _Found | None]] = {
    NAME: _name,
    NUMBER: _number,
    INTERPOLATED: _backticks,
    "::": _label,
    "<": _less,
    ">": _greater,
    "&": _ampersand,
    "|": _bar,
    "~": _tilde,
    "!": _exclamation,
    "/": _slash,
    "//": _two_slashes,
    "?": _question,
    "local": _local,
    ".": _dot,
}

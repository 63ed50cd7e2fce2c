"""What a build of `light` and above must not show of its source, and what two builds of one script must not share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moonlatch.obfuscator.analysis.builtins import LIBRARIES
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.lexer import QUOTED, RAW, RESERVED, Tokens
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from support.protecting import ALL_PROGRAMS, LUA51_PROGRAMS, build_of, protected
from support.rounds import IS_LONG

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("builds of programs")

# These sit at a limit of the compiler, where literals have to stay.
ROOMY = [program for program in ALL_PROGRAMS if program.name not in {"long_lists.lua", "many_locals.lua"}]
RUN = 12
LEAST_LETTERS = 3
PROTECTING = ["light", "standard", "maximum"]


class _Literals(Rewriter):
    """Collects what must not be readable, and the names that must: `required` ones always, `public` ones in `light`."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.strings: set[bytes] = set()
        self.numbers: set[str] = set()
        self.required: set[str] = set()
        self.fields: set[str] = set()
        chunk = parse(source)
        resolution = resolve(chunk)
        self.private = {binding.name for binding in resolution.symbols}
        self.required |= resolution.globals.keys()
        self.chunk(chunk)

    def allowed(self, profile: str) -> set[str]:
        """The names that a build of that profile may show."""
        return self.required | self.fields if profile == "light" else self.required

    def rewrite_string(self, node: tree.String) -> tree.Expression:
        self.strings.add(node.value)
        return node

    def rewrite_interpolated_string(self, node: tree.InterpolatedString) -> tree.Expression:
        self.strings.update(node.parts)
        return super().rewrite_interpolated_string(node)

    def rewrite_number(self, node: tree.Number) -> tree.Expression:
        self.numbers.add(node.text)
        return node

    def rewrite_index_name(self, node: tree.IndexName) -> tree.Expression:
        owner = node.object
        is_library = isinstance(owner, tree.Name) and owner.binding is None and owner.name in LIBRARIES
        (self.required if is_library else self.fields).add(node.name)
        return super().rewrite_index_name(node)

    def rewrite_method_call(self, node: tree.MethodCall) -> tree.Expression:
        self.required.add(node.name)
        return super().rewrite_method_call(node)

    def rewrite_table(self, node: tree.Table) -> tree.Expression:
        self.fields |= {item.name for item in node.items if isinstance(item, tree.NamedItem)}
        return super().rewrite_table(node)


RUNTIME = {"string", "byte", "char", "table", "concat", "tonumber", "setmetatable", "create", "__index"}
# What stands in for Luau's own constructs in plain Lua.
LOWERED = {"type", "getmetatable", "rawget", "next", "math", "floor", "error", "tostring"}
# What the virtual machine uses itself.
MACHINE = {"select", "unpack", "type", "next", "rawget", "getmetatable", "coroutine", "wrap", "yield", "pcall"}
# What an interpolated string is compiled to.
RUNTIME_METHODS = {"format"}


@pytest.mark.parametrize("profile", PROTECTING)
@pytest.mark.parametrize("program", ROOMY, ids=lambda program: program.name)
def test_no_string_name_or_number_of_the_source_is_in_the_build(program: Path, profile: str) -> None:
    source = _Literals(program.read_bytes())
    text = build_of(program, profile)
    build = _Literals(text.encode())
    allowed = source.allowed(profile) | RUNTIME | RUNTIME_METHODS | (MACHINE if profile == "maximum" else set())
    assert build.required | build.fields <= allowed
    # A method that does not use its implicit `self` keeps it, unwritten.
    assert [name for name in build.private - {"self"} if len(name) > 2] == []
    assert {number for number in build.numbers if len(number) >= 4} & source.numbers == set()
    # What is left are the texts that all constants lie in.
    data = b"\n".join(build.strings)
    readable = _without_strings(text)
    words = " ".join(allowed | RESERVED | {"continue", "native"})
    strings = {string.decode("latin-1") for string in source.strings if len(string) >= 4}
    assert [
        string
        for string in strings | (source.fields - allowed)
        if string not in words and len(string) >= 4 and (string in readable or string.encode("latin-1") in data)
    ] == []


def _without_strings(text: str) -> str:
    tokens = Tokens(text)
    parts = zip(tokens.gaps, tokens.kinds, tokens.texts, strict=True)
    return "".join(gap + ("''" if kind in {QUOTED, RAW} else token) for gap, kind, token in parts)


@pytest.mark.parametrize("profile", PROTECTING)
def test_comments_do_not_survive(profile: str) -> None:
    text = protected("--!strict\n-- a secret remark\nlocal x = 1 --[[ another one ]] print(x)", profile)
    assert "secret" not in text
    assert "another" not in text
    assert "strict" not in text


@pytest.mark.parametrize("profile", PROTECTING)
@pytest.mark.parametrize("target", ["luau", "lua51"])
def test_two_builds_share_no_distinctive_text(target: str, profile: str) -> None:
    shared = {}
    for program in [one for one in LUA51_PROGRAMS if one in ROOMY][:: 1 if IS_LONG else 2]:
        source = program.read_bytes()
        needed = _Literals(source).allowed(profile) | _Literals(source).numbers
        one, other = (_runs(build_of(program, profile, seed, target=target), needed) for seed in (1, 2))
        if one & other:
            shared[program.name] = one & other
    assert shared == {}


def _runs(text: str, source: set[str]) -> set[str]:
    """Every run of characters between keywords, names that have to be there, and the short numbers of the source.

    Punctuation that Lua itself asks for, such as `4],...),...}`, tells nothing: a run has three letters or digits at least.
    """
    needed = sorted(map(re.escape, RESERVED | source | RUNTIME | LOWERED | MACHINE), key=len, reverse=True)
    pieces = re.split(r"\s+|\b(?:" + "|".join(needed) + r")\b", text)
    runs = {piece[start : start + RUN] for piece in pieces for start in range(len(piece) - RUN + 1)}
    return {run for run in runs if sum(map(str.isalnum, run)) >= LEAST_LETTERS}


@pytest.mark.parametrize("profile", PROTECTING)
def test_no_build_can_load_or_inspect_code(profile: str) -> None:
    for program in LUA51_PROGRAMS:
        build = _Literals(build_of(program, profile, target="lua51").encode())
        assert (build.required | build.fields) & {"loadstring", "load", "getfenv", "setfenv", "debug"} == set()

"""What two builds have in common beside their scripts: a tool that is written for the text of one finds it in no other."""

from __future__ import annotations

from moonlatch.obfuscator.syntax.lexer import RESERVED, Tokens
from support.luau import run_luau_batch
from support.protecting import protected
from support.rounds import rounds

SCRIPTS = [
    'local list = {} for index = 1, 9 do list[index] = index * 2 end print("a", #list) local function f(x) if x then return "b" end return x end print(f(1))',
    'local text = "" while #text < 5 do text = text .. "x" end local fine, why = pcall(error, "boom", 0) print(text, fine, why) return function(q) q:m(q.z) end',
]
"""They have no statement in common."""
LONGEST = 200
"""Tokens. With one design for all builds it was 622."""


def without_names(text: str) -> list[str]:
    """The tokens of a build as they are after a renamer: names, numbers and strings are one like the other."""
    return [token if token in RESERVED else _kind(token) for token in Tokens(text).texts if token]


def _kind(token: str) -> str:
    if token[0].isalpha() or token[0] == "_":
        return "name"
    if token[0].isdigit() or (token[0] == "." and token[1:2].isdigit()):
        return "number"
    return "string" if token[0] in "\"'" else token


def longest_in_common(one: list[str], other: list[str]) -> int:
    """The tokens of the longest piece that both have."""
    shortest, longest = 0, min(len(one), len(other))
    while shortest < longest:
        length = (shortest + longest + 1) // 2
        if _pieces(one, length) & _pieces(other, length):
            shortest = length
        else:
            longest = length - 1
    return shortest


def _pieces(tokens: list[str], length: int) -> set[int]:
    return {hash(tuple(tokens[start : start + length])) for start in range(len(tokens) - length + 1)}


def test_builds_of_two_scripts_have_no_text_of_the_machine_in_common() -> None:
    seeds = range(rounds(3, 20))
    builds = [[protected(script, "maximum", seed) for seed in seeds] for script in SCRIPTS]
    first, second = ([without_names(text) for text in texts] for texts in builds)
    found = [
        longest_in_common(one, other)
        for place, one in enumerate(first)
        for other_place, other in enumerate(second)
        if place != other_place
    ]
    assert max(found) <= LONGEST
    outputs = [[result.output for result in run_luau_batch(texts)] for texts in builds]
    assert [set(printed) for printed in outputs] == [{"a\t9\nb"}, {"xxxxx\tfalse\tboom"}]

"""Random scripts, judged by our front end and by real Luau: same verdict, same first message."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from moonlatch.obfuscator.analysis.check import check
from moonlatch.obfuscator.syntax.diagnostics import parser_output
from moonlatch.obfuscator.syntax.parser import allow_deep_recursion
from support.corpus import accepted_scripts, broken_scripts
from support.luau import LuauResult, compile_luau_batch

allow_deep_recursion()  # before hypothesis looks at the limit, which it wants unchanged

SCRIPTS_PER_PROCESS = 50
NEWER_SYNTAX = re.compile(r"\bexport\b")  # the Luau that runs here knows `export type` alone
WORDS = re.compile(r"\w+|[ \t]+|\n|[^\w\s]")

VOCABULARY = [
    "and",
    "break",
    "do",
    "else",
    "elseif",
    "end",
    "false",
    "for",
    "function",
    "if",
    "in",
    "local",
    "nil",
    "not",
    "or",
    "repeat",
    "return",
    "then",
    "true",
    "until",
    "while",
    "continue",
    "type",
    "typeof",
    "const",
    "self",
    "a",
    "b.c",
    "x:m()",
    "f(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    ":",
    "::",
    ".",
    "..",
    "...",
    "=",
    "==",
    "~=",
    "<=",
    ">=",
    "<",
    ">",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "^",
    "#",
    "+=",
    "..=",
    "//=",
    "->",
    "?",
    "|",
    "&",
    "!",
    "!=",
    "&&",
    "||",
    "@native",
    "@[",
    "@",
    "1",
    "0x1F",
    "1e5",
    "1.2.3",
    '"s"',
    "'s'",
    '"\\xZZ"',
    "[[raw]]",
    "[==[",
    "`i`",
    "`a{",
    "}",
    "}",
    "c`",
    "--",
    "--[[",
    "]]",
    "\\",
    "$",
    "~",
]
token_soup = st.lists(st.sampled_from([*VOCABULARY, "\n", "\n"]), max_size=40).map(" ".join)
ascii_text = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=80)
lines = st.sampled_from("\n".join([*accepted_scripts(newer=False).values(), *broken_scripts().values()]).split("\n"))


@st.composite
def truncated(draw: st.DrawFn) -> str:
    script = draw(st.sampled_from(list(accepted_scripts(newer=False).values())))
    start = script.find("\n", draw(st.integers(0, len(script)))) + 1
    return script[start : start + draw(st.integers(0, 600))]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Some lines in a row out of the corpus, with a word removed, doubled or replaced here and there."""
    script = draw(st.sampled_from(list(accepted_scripts(newer=False).values())))
    rows = script.split("\n")
    first = draw(st.integers(0, len(rows) - 1))
    words = WORDS.findall("\n".join(rows[first : first + draw(st.integers(1, 30))]))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(words)))
        words[position : position + draw(st.integers(0, 2))] = draw(
            st.lists(st.sampled_from(VOCABULARY).map(lambda word: f" {word} "), max_size=2)
        )
    return "".join(words)


many_scripts = st.lists(
    st.one_of(
        token_soup, truncated(), mutated(), mutated(), ascii_text, st.lists(lines, max_size=12).map("\n".join)
    ).filter(lambda script: not NEWER_SYNTAX.search(script)),
    min_size=SCRIPTS_PER_PROCESS,
    max_size=SCRIPTS_PER_PROCESS,
)


def expected_message(ours: str, luau: LuauResult) -> str:
    """What real Luau said, or our message where it cannot tell: it died, or its version words that fault differently."""
    if luau.crashed or luau.compile_error is None:
        return ours if luau.crashed else ""
    differs_by_version = "after table constructor element" in ours or "is constant and may not be" in ours
    return ours if differs_by_version else luau.compile_error


@given(many_scripts)
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_script_is_judged_as_real_luau_judges_it(scripts):
    for script, luau in zip(scripts, compile_luau_batch(scripts), strict=True):
        ours = parser_output(check(script)[:1])
        assert bool(ours) == (luau.crashed or luau.compile_error is not None), repr(script)
        assert ours == expected_message(ours, luau), repr(script)


@given(st.binary(max_size=200))
def test_any_bytes_get_a_verdict(source):
    assert all(fault.line >= 1 and fault.column >= 1 for fault in check(source))


@given(st.one_of(token_soup, ascii_text, st.text(max_size=100)))
def test_any_text_gets_a_verdict(source):
    assert all(fault.line >= 1 and fault.column >= 1 for fault in check(source))


@given(st.data(), st.sampled_from(list(accepted_scripts().values())))
@settings(max_examples=200)
def test_a_script_cut_anywhere_gets_a_verdict(data, script):
    assert all(fault.line >= 1 for fault in check(script[: data.draw(st.integers(0, len(script)))]))

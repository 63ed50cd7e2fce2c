from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlatch.obfuscator.syntax import lexer
from moonlatch.obfuscator.syntax.lexer import Tokens
from support.corpus import accepted_scripts, broken_scripts


def tokens(source: str) -> list[tuple[str, str]]:
    found = Tokens(source)
    return [(text, kind) for text, kind in zip(found.texts, found.kinds, strict=True) if kind != lexer.EOF]


def test_names_reserved_words_and_operators_are_told_apart():
    assert tokens("local x //= y..z") == [
        ("local", "local"),
        ("x", lexer.NAME),
        ("//=", "//="),
        ("y", lexer.NAME),
        ("..", ".."),
        ("z", lexer.NAME),
    ]


def test_the_longest_operator_wins():
    source = "... .. . ..= :: : -> - -= == = // / /= //= ~= ~ <= < >= > += *= %= ^= @["
    assert [text for text, _ in tokens(source)] == source.split()


@pytest.mark.parametrize("number", ["0", "1.5", ".5", "3.", "1e10", "1E-3", "0xFFp", "0b1_0", "1..2", "123i", "5x_y"])
def test_whatever_begins_like_a_number_is_one_token(number):
    assert tokens(f"{number}+1") == [(number, lexer.NUMBER), ("+", "+"), ("1", lexer.NUMBER)]


def test_strings_may_hold_the_other_quote_and_escaped_quotes():
    assert tokens("""'a"\\'b' "c'\\"d" """) == [("'a\"\\'b'", lexer.QUOTED), ('"c\'\\"d"', lexer.QUOTED)]


def test_a_string_goes_on_after_an_escaped_line_end_and_after_z():
    assert tokens('"a\\\nb" "c\\z  \n\n  d"') == [('"a\\\nb"', lexer.QUOTED), ('"c\\z  \n\n  d"', lexer.QUOTED)]


def test_a_string_that_its_line_does_not_close_is_broken():
    assert tokens('"abc\nx')[0] == ('"abc', lexer.BROKEN_STRING)


def test_a_string_that_ends_in_an_escaped_quote_is_broken():
    assert tokens('"abc\\"')[0] == ('"abc\\"', lexer.BROKEN_STRING)


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4, 7, 60])
def test_long_strings_and_comments_close_at_their_own_level(level):
    marks = "=" * level
    text = f"[{marks}[ ]{marks}x] [[ \n]{marks}]"
    assert tokens(f"--{text}\n{text} y") == [(text, lexer.RAW), ("y", lexer.NAME)]


def test_an_unclosed_long_comment_takes_the_rest():
    assert tokens("x --[=[ y ]] z") == [("x", lexer.NAME), ("--[=[ y ]] z", lexer.BROKEN_COMMENT)]


def test_interpolated_strings_are_cut_at_their_expressions():
    assert tokens("`a{b}c{d}e`") == [
        ("`a{", lexer.INTERPOLATION_BEGIN),
        ("b", lexer.NAME),
        ("}c{", lexer.INTERPOLATION_MIDDLE),
        ("d", lexer.NAME),
        ("}e`", lexer.INTERPOLATION_END),
    ]


def test_braces_inside_an_interpolated_expression_belong_to_it():
    assert [text for text, _ in tokens("`{f({a = `{1}`})}`")] == [
        "`{",
        "f",
        "(",
        "{",
        "a",
        "=",
        "`{",
        "1",
        "}`",
        "}",
        ")",
        "}`",
    ]


def test_a_backtick_in_a_string_or_comment_begins_nothing():
    assert tokens("\"`\" --`\n[[`]] `x` '`'") == [
        ('"`"', lexer.QUOTED),
        ("[[`]]", lexer.RAW),
        ("`x`", lexer.INTERPOLATED),
        ("'`'", lexer.QUOTED),
    ]


def test_lines_count_newlines_in_space_comments_and_strings():
    found = Tokens("a\n--[[\n]] b [[\n\n]] c\r\nd")
    assert list(zip(found.texts, found.lines, strict=True))[:5] == [
        ("a", 1),
        ("b", 3),
        ("[[\n\n]]", 3),
        ("c", 5),
        ("d", 6),
    ]


def test_the_script_ends_at_a_nul_byte():
    assert tokens("a\0b") == [("a", lexer.NAME)]


@pytest.mark.parametrize("script", [*accepted_scripts().values(), *broken_scripts().values()])
def test_gaps_and_texts_add_up_to_the_source(script):
    found = Tokens(script.encode().decode("latin-1"))
    assert "".join(gap + text for gap, text in zip(found.gaps, found.texts, strict=True)) == found.source
    assert all(found.source.startswith(text, start) for text, start in zip(found.texts, found.starts, strict=True))


@given(st.text(st.sampled_from(list("ab01.[]={}`'\"\\-\n \rz@/~\xe2\x80\x9c")), max_size=60))
def test_no_byte_is_lost_or_read_twice(source):
    found = Tokens(source)
    assert "".join(gap + text for gap, text in zip(found.gaps, found.texts, strict=True)) == source
    assert found.lines[-1] == source.count("\n") + 1


def split_in_blocks(source: str, characters: int) -> Tokens:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexer, "BLOCK_CHARACTERS", characters)
        return Tokens(source)


@given(
    st.text(st.sampled_from(list("ab01.[]={}`'\"\\-\n \rz@/~\xe2\x80\x9c")), max_size=60),
    st.integers(min_value=1, max_value=9),
)
def test_where_a_block_ends_makes_no_difference(source, characters):
    found, whole = split_in_blocks(source, characters), split_in_blocks(source, 1000)
    assert (found.texts, found.gaps, found.kinds) == (whole.texts, whole.gaps, whole.kinds)


@pytest.mark.parametrize("script", [*accepted_scripts().values(), *broken_scripts().values()])
def test_a_script_is_split_alike_in_small_blocks(script):
    found, whole = split_in_blocks(script, 7), Tokens(script)
    assert (found.texts, found.gaps, found.kinds) == (whole.texts, whole.gaps, whole.kinds)

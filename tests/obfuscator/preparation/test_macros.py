from __future__ import annotations

from pathlib import Path

import pytest

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected, Rejected
from moonlatch.obfuscator.preparation.macros import MACROS, expand_macros
from moonlatch.obfuscator.preparation.runtime_variables import ALIASES
from moonlatch.obfuscator.syntax.parser import parse
from support.luau import run_luau
from support.protecting import faults, protected


@pytest.mark.parametrize(
    "name", ["LA_NO_VIRTUALIZE", "LPH_NO_VIRTUALIZE", "LPH_JIT", "LPH_JIT_MAX", "LPH_NO_UPVALUES", "LPH_ENCFUNC"]
)
def test_a_function_macro_is_its_function(name: str) -> None:
    assert (
        protected(f"local f = {name}(function(x) return x end) return f", "minify")
        == "local a=function(a)return a end return a"
    )
    assert protected(f"return {name}(function() end)()", "minify") == "return(function()end)()"


@pytest.mark.parametrize("name", ["LA_ENCRYPT_STRING", "LPH_ENCSTR", "LPH_STRENC"])
def test_a_string_macro_is_its_string(name: str) -> None:
    assert (
        protected(f"return {name}('text'), {name} [[more]], ({name}'x'):rep(2)", "minify")
        == 'return"text","more",("x"):rep(2)'
    )


@pytest.mark.parametrize("name", ["LPH_ENCNUM", "LPH_NUMENC"])
def test_a_number_macro_is_its_number(name: str) -> None:
    assert protected(f"return {name}(5), {name}(-1.5)", "minify") == "return 5,-1.5"


@pytest.mark.parametrize("name", ["LA_LINE", "LPH_LINE"])
def test_a_line_macro_is_the_line_it_stands_on(name: str) -> None:
    assert protected(f"local a = {name}\n\nreturn a, {name}", "minify") == "local a=1\nreturn a,3"


def test_a_build_is_obfuscated_and_mocks_vanish() -> None:
    source = "if not LPH_OBFUSCATED then LPH_JIT = function(...) return ... end end return LPH_JIT(function() return LPH_OBFUSCATED end)"
    assert protected(source, "minify") == "return function()return true end"


def test_the_crash_macro_raises_an_error() -> None:
    result = run_luau(protected("print('before') LPH_CRASH() print('after')"))
    assert result.output == "before"
    assert result.error is not None


def test_the_key_arguments_of_encfunc_are_dropped() -> None:
    assert protected("return LPH_ENCFUNC(function() end, 'key', secret.key)", "minify") == "return function()end"


def test_a_macro_that_nobody_reads_leaves_nothing() -> None:
    assert protected("LPH_JIT(function() end) f()", "minify") == "f()"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("local LPH_JIT = f return LPH_JIT(1, 2)", "local a=f return a(1,2)"),
        ("function LPH_JIT(x) return x end return LPH_JIT(1)", "function LPH_JIT(a)return a end return LPH_JIT(1)"),
        ("LPH_LINE = 5 return LPH_LINE", "LPH_LINE=5 return LPH_LINE"),
        ("LPH_OBFUSCATED = LPH_OBFUSCATED or false", "LPH_OBFUSCATED=LPH_OBFUSCATED or false"),
        ("return LPH_JIT or f, not LPH_JIT, LPH_JIT == nil", "return LPH_JIT or f,not LPH_JIT,LPH_JIT==nil"),
    ],
)
def test_a_name_that_the_script_defines_or_asks_for_is_no_macro(source: str, text: str) -> None:
    assert protected(source, "minify") == text


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("\nlocal x = LA_ENCRYPT_STRING(name)", "2: LA_ENCRYPT_STRING takes a string literal"),
        ("LPH_ENCSTR()", "1: LPH_ENCSTR takes exactly one argument, got 0"),
        ("LPH_ENCSTR('a', 'b')", "1: LPH_ENCSTR takes exactly one argument, got 2"),
        ("f(LPH_ENCNUM('5'))", "1: LPH_ENCNUM takes a number literal"),
        ("LA_NO_VIRTUALIZE(f)", "1: LA_NO_VIRTUALIZE takes a function expression"),
        ("local f = LPH_JIT", "1: LPH_JIT is a macro and can only be called"),
        ("LPH_CRASH(1)", "1: LPH_CRASH takes no argument"),
        ("f(LA_VARIANT(1))", "1: LA_VARIANT takes two spellings of one value, got 1"),
        ("f(\nLA_VARIANT(1, 2, 3))", "2: LA_VARIANT takes two spellings of one value, got 3"),
        ("local v = LA_VARIANT", "1: LA_VARIANT is a macro and can only be called"),
        ("f(LA_VARIANT(1,\nLA_VARIANT(2, 3)))", "2: LA_VARIANT cannot stand in another one"),
        (
            "LA_VARIANT(f(), g())",
            "1: LA_VARIANT stands for a value; two ways to do something are two functions, LA_VARIANT(function() ... end, function() ... end)()",
        ),
    ],
)
def test_misuse_is_named_with_its_line(source: str, fault: str) -> None:
    assert faults(source) == [fault]


def test_all_misuses_are_reported_in_order() -> None:
    assert [fault[:2] for fault in faults("f(LPH_ENCSTR(a),\n\nLPH_ENCNUM(b),\nLPH_JIT(c))")] == ["1:", "3:", "4:"]


def test_strings_of_the_macro_are_encrypted_in_light() -> None:
    text = protected("print(LA_ENCRYPT_STRING('very secret'))")
    assert "secret" not in text
    assert run_luau(text).output == "very secret"


def test_minify_says_that_it_encrypts_nothing() -> None:
    outcome = pipeline.protect(b"f()\nprint(LA_ENCRYPT_STRING('x'))", Options("minify"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == ["line 2: LA_ENCRYPT_STRING has no effect with the profile 'minify'"]


@pytest.mark.parametrize("name", ["LA_NO_VIRTUALIZE", "LPH_NO_VIRTUALIZE", "LPH_JIT", "LPH_JIT_MAX"])
def test_the_functions_that_are_to_stay_native_are_told_to_the_passes(name: str) -> None:
    chunk = parse(f"\nf({name}(function() end),\nfunction() end, LPH_ENCFUNC(function() end))")
    expansion = expand_macros(chunk, resolve(chunk))
    assert [function.line for function in expansion.native] == [2]
    assert expansion.untouched == set()


def test_a_function_without_upvalues_gets_none() -> None:
    source = "hook(LPH_NO_UPVALUES(function() return 'clear', 123456 end), 'hidden')"
    text = protected(source)
    assert 'function()return"clear",123456 end' in text
    assert "hidden" not in text


def test_a_function_that_captures_in_spite_of_its_macro_is_named() -> None:
    outcome = pipeline.protect(b"local b, a = ...\nhook(LPH_NO_UPVALUES(function() return b, a end))", Options(), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == ["line 2: the function of LPH_NO_UPVALUES itself captures a, b"]


def test_the_key_of_encfunc_is_said_to_be_unused() -> None:
    outcome = pipeline.protect(b"return LPH_ENCFUNC(function() end, 'key', secret.key)", Options(), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == ["line 1: the key of LPH_ENCFUNC is not used; its function needs none"]


def test_every_macro_and_alias_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/macros.md").read_text()
    assert {name for name in MACROS | ALIASES.keys() if f"`{name}" not in page} == set()


def kept(source: str) -> str:
    """What another engine that has the macros itself gets."""
    outcome = pipeline.protect(source.encode(), Options("minify", keeps_macros=True), 1)
    assert isinstance(outcome, Protected), outcome
    assert outcome.warnings == []
    return outcome.text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("return LPH_JIT(function() end)", "return LPH_JIT(function()end)"),
        ("return LA_NO_VIRTUALIZE(function() end)", "return LPH_NO_VIRTUALIZE(function()end)"),
        ("return LA_ENCRYPT_STRING('x'), LPH_STRENC('y')", 'return LPH_ENCSTR"x",LPH_STRENC"y"'),
        ("return LPH_ENCNUM(5)", "return LPH_ENCNUM(5)"),
        ("return LPH_ENCFUNC(function() end, 'key', k)", 'return LPH_ENCFUNC(function()end,"key",k)'),
        ("LPH_CRASH()", "LPH_CRASH()"),
        ("LPH_JIT(function() end)", "LPH_JIT(function()end)"),
        (
            "if not LPH_OBFUSCATED then LPH_JIT = print end\nreturn LPH_LINE, LA_LINE, LPH_JIT(function() end)",
            "return 2,2,LPH_JIT(function()end)",
        ),
        ("local LPH_JIT = 5 return LPH_JIT", "local a=5 return a"),
    ],
)
def test_macros_are_left_to_an_engine_that_has_them_under_their_names_there(source: str, text: str) -> None:
    assert kept(source) == text


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("LPH_JIT(5)", "1: LPH_JIT takes a function expression"),
        ("LA_ENCRYPT_STRING(x)", "1: LA_ENCRYPT_STRING takes a string literal"),
        ("LPH_CRASH(1)", "1: LPH_CRASH takes no argument"),
        ("return LPH_ENCFUNC(5, 'key', k)", "1: LPH_ENCFUNC takes a function expression"),
        ("return LPH_JIT", "1: LPH_JIT is a macro and can only be called"),
    ],
)
def test_macros_that_are_kept_are_checked_all_the_same(source: str, fault: str) -> None:
    outcome = pipeline.protect(source.encode(), Options("minify", keeps_macros=True), 1)
    assert isinstance(outcome, Rejected)
    assert [f"{one.line}: {one.message}" for one in outcome.diagnostics] == [fault]

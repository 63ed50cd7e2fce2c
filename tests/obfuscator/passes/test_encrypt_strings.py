from __future__ import annotations

import re

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from support.luau import run_luau
from support.protecting import protected, protected_with

KEYS = {"encrypt_strings", "constant_pool"}


def script(source: str) -> str:
    """What follows the pool's own code."""
    text = protected_with(source, KEYS)
    return text[text.index("end})end)()") + len("end})end)()") :].strip()


def test_every_string_but_the_empty_one_becomes_an_access() -> None:
    assert script("f('text', '', g['key'], g.field)") == 'f(pool[1],"",g[pool[2]],g.field)'


def test_equal_strings_share_a_place() -> None:
    assert script("f('same', 'same')") == "f(pool[1],pool[1])"


def test_keys_of_tables_are_hidden_unless_written_as_names() -> None:
    assert script("return { ['hidden'] = 1, shown = 2 }") == "return{[pool[1]]=1,shown=2}"


def test_methods_of_string_literals_stay_method_calls() -> None:
    assert script("return ('x'):rep(3)") == "return pool[1]:rep(3)"


def test_an_interpolated_string_becomes_the_call_it_stands_for() -> None:
    assert script("return `a{b}c{d()}`") == "return pool[1]:format(b,(d()))"
    assert script("return `plain`") == "return pool[1]"
    source = "print(`100% {1} %d {nil}{true}`, `%`)"
    assert run_luau(protected(source)) == run_luau(source)


def test_the_pool_takes_a_name_that_the_script_does_not_use() -> None:
    assert "return pool__[1]" in protected_with("local pool, pool_ return 'text'", KEYS)


def test_a_function_without_room_keeps_its_strings_and_is_named() -> None:
    outer = "\n".join(
        f"local function h{n}() {' '.join(f'local v{n}_{i} = f()' for i in range(100))}" for n in range(2)
    )
    uses = ", ".join(f"v{n}_{i}" for n in range(2) for i in range(100))
    source = (
        f"local function f() return 'inside' end\n{outer}\nreturn function() return 'crowded', {{ {uses} }} end end end"
    )
    outcome = pipeline.protect(source.encode(), Options("light"), 1)
    assert isinstance(outcome, Protected)
    assert '"crowded"' in outcome.text
    assert '"inside"' not in outcome.text
    assert outcome.warnings == [
        "line 4: this function is too close to the compiler's limits; its strings stay readable"
    ]


def test_a_script_with_two_hundred_locals_still_works() -> None:
    lines = [f"local v{i} = tostring('value {i}')" for i in range(199)]
    captured = ", ".join(f"v{i}" for i in range(150))
    source = "\n".join(
        [*lines, f"local function f() return select('#', {captured}), 'done' end", "print(v0, v198, f())"]
    )
    for seed in range(3):
        text = protected(source, seed=seed)
        assert run_luau(text) == run_luau(source)
        assert "done" not in text


def test_constants_that_the_compiler_folds_away_stay_folded_where_a_function_needs_it() -> None:
    lines = [f"local c{i} = 'constant {i}'" for i in range(195)]
    inner = [f"local d{i} = {i} * 1000.5" for i in range(150)]
    uses = " ".join([*(f"t[c{i}] = 1" for i in range(195)), *(f"t[d{i}] = 2" for i in range(150))])
    source = "\n".join(
        [*lines, "local function outer()", *inner, f"return function(t) {uses} return t end end", "local n = 0"]
    )
    source += "\nfor _ in pairs(outer()({})) do n = n + 1 end print(n)"
    assert run_luau(source).output == "345"
    assert run_luau(protected(source)).output == "345"


def test_no_string_of_the_script_is_left() -> None:
    strings = re.findall(r'"([^"]*)"', protected("print('alpha', 'beta' .. 'gamma', ('delta'):upper())"))
    assert [text for text in strings if text in {"alpha", "beta", "gamma", "delta"}] == []

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.syntax.tree import Binding
from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.keyed_store import KeyedStore
from support.luau import run_lua, run_luau, run_luau_batch
from support.protecting import protected_with, read_while_running

KEYS = {"keyed_constants"}
EVERY_BYTE = bytes(range(256))
SHOW = "local function show(v) if type(v) == 'number' then return v end local out = {} for i = 1, #v do out[i] = v:byte(i) end return table.concat(out, ' ') .. ' /' .. #v end "


def shown(constants: list[bytes], seed: int, target: Target) -> str:
    """A script that decodes all of them, in an order of its own, through both the function and the table."""
    store = KeyedStore(Binding("decode", 1), Binding("cache", 1), random.Random(seed))
    store.is_cached = True
    references = [store.reference(text, is_number=False, line=1) for text in constants]
    declarations = store.source(target)
    lines = [f"print(show(decode({one.text})), show(cache[{one.text}]))" for one in references]
    return declarations + " " + SHOW + " ".join(lines)


def expected(constants: list[bytes]) -> str:
    texts = [" ".join(map(str, text)) + f" /{len(text)}" for text in constants]
    return "\n".join(f"{text}\t{text}" for text in texts)


@pytest.mark.parametrize("version", ["lua51", "lua54", "luajit21"])
@pytest.mark.parametrize("seed", range(4))
def test_every_byte_and_length_comes_back_on_plain_lua(version: str, seed: int) -> None:
    constants = [EVERY_BYTE, b"x" * 5000, b"1234", b"\n", b"x" * 5000]
    assert run_lua(version, shown(constants, seed, Target.LUA51)).output == expected(constants)


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=30), min_size=6, max_size=6), st.integers(0, 2**32)
)
def test_any_constants_come_back_in_luau_for_any_seed(lists: list[list[bytes]], seed: int) -> None:
    results = run_luau_batch([shown(one, seed + i, Target.LUAU) for i, one in enumerate(lists)])
    assert [result.output for result in results] == [expected(one) for one in lists]


def test_numbers_come_back_exactly() -> None:
    source = "print(123456789, 0.1, 1e100, 2^53, 9007199254740993, 0xFFFFFFFF, 1234.5678, 3.0000000000000004)"
    text = protected_with(source, KEYS)
    assert re.search(r"123456789|1234\.5678", text) is None
    assert run_luau(text) == run_luau(source)


def test_the_same_constant_has_another_reference_at_each_use() -> None:
    text = protected_with("f('secret') f('secret') f('secret')", KEYS)
    references = re.findall(r"f\(\w+\((\d+)\)\)", text)
    assert len(set(references)) == 3


def test_a_function_decodes_when_it_is_first_called_and_once() -> None:
    source = "local function f() return 'used text' end local function g() return 'unused text' end for i = 1, ... do print(f()) end"
    for seed in range(3):
        text = protected_with(source, KEYS, seed)
        results = [read_while_running(text, times) for times in range(4)]
        assert [printed for printed, _ in results] == [["used text"] * times for times in range(4)]
        without, once, *more = [symbols for _, symbols in results]
        assert without == 0 < once
        assert more == [once] * 2


def test_a_loop_outside_of_functions_decodes_before_it_begins() -> None:
    text = protected_with("for i = 1, 3 do print('text', 12345) end", KEYS)
    assert re.search(r"local \w+,\w+=\w+\(\d+\),\w+\(\d+\) ?for", text)
    assert run_luau(text).output == "\n".join(["text\t12345"] * 3)


def test_nested_functions_use_what_the_outer_one_filled() -> None:
    source = (
        "local function outer() local function inner() return 'inner text' end return inner, function() return 'other text', 54321.5 end end "
        "local a, b = outer() print(a(), b()) print((outer()()))"
    )
    results = run_luau_batch([protected_with(source, KEYS, seed) for seed in range(4)])
    assert set(results) == {run_luau(source)}


@pytest.mark.parametrize("target", list(Target))
def test_a_function_with_hundreds_of_constants_keeps_some_in_a_table(target: Target) -> None:
    uses = ", ".join(f"'constant {i}'" for i in range(300))
    source = f"local function f() local t = {{ {uses} }} return t[1], t[300] end print(f()) print(f())"
    text = protected_with(source, KEYS, target=target)
    assert "__index" in text
    assert run_luau(text) == run_luau(source)
    assert run_lua("lua51", protected_with(source, KEYS, target="lua51")) == run_lua("lua51", source)


def test_a_function_without_room_keeps_its_strings_and_is_named() -> None:
    outer = "\n".join(
        f"local function h{n}() {' '.join(f'local v{n}_{i} = f()' for i in range(100))}" for n in range(2)
    )
    uses = ", ".join(f"v{n}_{i}" for n in range(2) for i in range(100))
    source = (
        f"local function f() return 'inside' end\n{outer}\nreturn function() return 'crowded', {{ {uses} }} end end end"
    )
    outcome = pipeline.protect_with(source.encode(), Options("light"), 1, KEYS)
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
        text = protected_with(source, KEYS, seed)
        assert run_luau(text) == run_luau(source)
        assert "done" not in text


def test_interpolated_strings_are_hidden_like_others() -> None:
    source = "local name, n = 'World', 5 print(`hello {name}, 100% {n + 1}`, `plain`, `{name}`)"
    text = protected_with(source, KEYS)
    assert "hello" not in text
    assert "plain" not in text
    assert run_luau(text) == run_luau(source)


def test_no_print_in_one_decoder_shows_the_constants_of_another() -> None:
    words = [f"word{i}" for i in range(200)]
    source = "local x0 = f " + " ".join(f"local x{i} = f('{word}')" for i, word in enumerate(words[:60], 1))
    source += " " + " ".join(f"x1('{word}')" for word in words[60:])
    text = protected_with(source, KEYS)
    stub = "local function f(x) return f2 end f2 = function() end "
    shown = []
    for match in re.finditer(r"return (\w+) ?end ?end\)\(\)", text):
        at = match.start()
        attacked = f"{stub} {text[:at]} print({match[1]}) {text[at:]}"
        shown.append(len(set(run_luau(attacked).output.split()) & set(words)))
    assert len(shown) >= 3
    assert max(shown) < len(words) * 0.6

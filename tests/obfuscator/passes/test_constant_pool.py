from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlatch.obfuscator.target import Target
from moonlatch.obfuscator.transform.decoder import decoder_source
from moonlatch.obfuscator.transform.pool import Constant
from support.luau import run_lua, run_luau, run_luau_batch
from support.protecting import protected, read_while_running

EVERY_BYTE = bytes(range(256))


def expected(constants: list[Constant]) -> str:
    lines = []
    for constant in constants:
        if constant.is_number:
            lines.append(f"number\t{constant.text.decode()}")
        else:
            lines.append(f"string\t{''.join(f'{byte} ' for byte in constant.text)}\t{len(constant.text)}")
    return "\n".join(lines)


def reader(constants: list[Constant], seed: int, target: Target) -> str:
    read = "local function show(text) local out = {} for i = 1, #text do out[i] = text:byte(i) .. ' ' end return table.concat(out), #text end"
    loop = f"for i = 1, {len(constants)} do local v = pool[i] if type(v) == 'string' then print('string', show(v)) else print('number', v) end end"
    return f"{decoder_source('pool', constants, target, random.Random(seed))} {read} {loop}"


@pytest.mark.parametrize("version", ["lua51", "lua54", "luajit21"])
@pytest.mark.parametrize("seed", range(4))
def test_every_byte_and_length_comes_back_on_plain_lua(version: str, seed: int) -> None:
    constants = [
        Constant(EVERY_BYTE, False),
        Constant(b"x" * 5000, False),
        Constant(b"1234", True),
        Constant(b"\n", False),
    ]
    assert run_lua(version, reader(constants, seed, Target.LUA51)).output == expected(constants)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=30), min_size=6, max_size=6), st.integers(0, 2**32)
)
def test_any_constants_come_back_in_luau_for_any_seed(lists: list[list[bytes]], seed: int) -> None:
    pools = [[Constant(text, False) for text in texts] for texts in lists]
    results = run_luau_batch([reader(pool, seed + i, Target.LUAU) for i, pool in enumerate(pools)])
    assert [result.output for result in results] == [expected(pool) for pool in pools]


def test_a_constant_is_decoded_when_it_is_used_and_only_once() -> None:
    text = protected("if never then print('unused text') end for i = 1, ... do print('used text') end", seed=3)
    results = [read_while_running(text, times) for times in range(4)]
    assert [printed for printed, _ in results] == [["used text"] * times for times in range(4)]
    without, once, *more = [symbols for _, symbols in results]
    assert without < once, "the lengths alone, and then a text"
    assert more == [once] * 2


def test_the_script_s_own_arguments_and_results_pass_through_the_enclosing_function() -> None:
    lines = " ".join(f"local v{i} = f({i})" for i in range(195))
    source = f"local f = tostring {lines} return select('#', ...), 'result', v194"
    text = protected(source)
    assert run_luau(f"print((function(...) {text} end)(nil, nil))").output == "2\tresult\t194"


def test_a_script_without_constants_has_no_pool() -> None:
    assert protected("return 1 + 2") == "return 1+2"


def test_two_builds_differ_and_one_seed_always_gives_the_same() -> None:
    source = "print('hello', 12345)"
    assert protected(source, seed=1) == protected(source, seed=1)
    assert protected(source, seed=1) != protected(source, seed=2)

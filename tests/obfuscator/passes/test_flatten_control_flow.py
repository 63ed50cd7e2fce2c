from __future__ import annotations

import re

import pytest

from support.luau import run_lua, run_luau, run_luau_batch
from support.protecting import protected, protected_with

KEYS = {"flatten_control_flow"}
SEEDS = range(6)
LONG = "a() b() c() d() e() f() g() h() i() j() k() l()"


def same(source: str, **options: str) -> None:
    results = run_luau_batch([protected_with(source, KEYS, seed, **options) for seed in SEEDS])
    assert set(results) == {run_luau(source)}


def test_statements_become_states_in_another_order() -> None:
    text = protected_with(LONG, KEYS)
    assert text.count("while true do") == 1
    assert re.findall(r"\b([a-l])\(\)", text) != list("abcdefghijkl")
    assert sorted(re.findall(r"\b([a-l])\(\)", text)) == list("abcdefghijkl")


def test_an_if_becomes_transitions() -> None:
    source = "print(1) if x then print(2) elseif y then print(3) else print(4) end print(5) z = 1 if not z then print(6) end print(7)"
    text = protected_with(source, KEYS)
    assert "elseif" not in text
    for values in ("x = true", "y = true", "x, y = nil, nil"):
        same(f"{values} {source}")


def test_loops_stay_loops_and_only_outer_bodies_are_taken_apart() -> None:
    inner = "for j = 1, 9 do a() b() c() d() e() f() g() h() end"
    assert "for j" not in protected_with(inner, KEYS)
    text = protected_with(f"for i = 1, 9 do {LONG} {inner} end", KEYS)
    assert text.count("while true do") == 1
    assert re.search(r"do a\(\)b\(\)c\(\)d\(\)e\(\)f\(\)g\(\)h\(\)end", text)


@pytest.mark.parametrize(
    "source",
    [
        # Closures capture a fresh variable per call and per iteration.
        (
            "local out = {} for i = 1, 3 do local x = i * 2 local y = x + 1 for j = 1, 1 do x = x + j end local z = y out[i] = function() x = x + 1 return x, y, z, i end end"
            " for i = 1, 3 do print(out[i]()) print(out[i]()) end"
        ),
        (
            "local function make() local n = 0 print('made') local function up() n = n + 1 return n end print('up') local m = n return up, function() return n, m end end"
            " local a, b = make() local c, d = make() a() a() c() print(b()) print(d())"
        ),
        # Recursion, mutual and not.
        "local function even(n) if n == 0 then return true end print(n) local m = n - 1 if m == 0 then return false end return even(m - 1) end print(even(6), even(7))",
        # Results, varargs and truncation.
        "local function f(...) local n = select('#', ...) print(n) local a, b = ... print(a, b) if n > 2 then return ... end print('few') return (...) end print(f(1, nil)) print(f(1, 2, nil))",
        "local function none() print(1) print(2) print(3) local x = 4 end print(none(), select('#', none()))",
        # Shadowed names and multiple assignment.
        "local x = 1 print(x) local x = x + 1 print(x) do local x = x * 10 print(x) local y = x print(y) end print(x) local x, y = x, x + 1 print(x, y) x, y = y, x print(x, y)",
        # A local without value is nil each time.
        "for i = 1, 2 do local x print(x) for _ = 1, 1 do x = i end print(x) local y = x print(y) end",
        # Errors and coroutines.
        "local ok, e = pcall(function() print(1) local t = { 'thrown' } print(2) error(t) end) print(ok, type(e), e[1])",
        "local co = coroutine.wrap(function(a) print(a) local b = coroutine.yield(a + 1) print(b) if b then local c = coroutine.yield(b + 1) print(c) end return 'end' end) print(co(1)) print(co(2)) print(co(3))",
        "local function f(x) print(x) repeat local y = x x = x - 1 print(y) until y < 2 print('out') while x < 5 do x = x + 1 if x == 3 then break end end return x end print(f(3))",
        "do print(1) do print(2) local a = 1 print(a) end print(3) end print(4) if true then return print('last') end print('never')",
    ],
)
def test_behaviour_stays(source: str) -> None:
    same(source)


@pytest.mark.parametrize(
    "source",
    [
        "for i = 1, 3 do print(i) if i == 2 then break end for j = 1, 2 do print(j) end print('end') end",
        "for i = 1, 3 do print(i) do local x = i print(x) if x == 2 then continue end print('after') print('more') end end",
        "for i = 1, 3 do print(i) do do print('in') print('side') if i == 2 then break end print('after') end print('more') end end",
        "for i = 1, 3 do print(i) if i == 2 then continue end for j = 1, 2 do print(j) end print('end') end",
        "local i = 0 repeat i = i + 1 if i == 2 then continue end local last = i > 3 for j = 1, 1 do print(i, j) end until i > 4",
    ],
)
def test_loops_that_are_left_early_stay_whole(source: str) -> None:
    same(source)


def test_constants_stay_known_to_the_compiler() -> None:
    text = protected_with(f"{LONG} local SIZE = 64 {LONG} return SIZE", KEYS)
    assert re.match(r"local \w+=64 ", text)


def test_an_exported_local_keeps_its_block_whole() -> None:
    assert "while" not in protected_with(f"{LONG} export local answer = 42 {LONG}", KEYS)


@pytest.mark.parametrize("count", [150, 185, 199])
def test_functions_full_of_locals_still_compile(count: int) -> None:
    lines = " ".join(f"local v{i} = tostring({i})" for i in range(count))
    same(f"{lines} print(v0, v{count - 1}) local function f() {lines} return v0 .. v{count - 1} end print(f())")


def test_nesting_stays_within_what_lua_51_allows() -> None:
    for depth in (40, 80, 120, 150):
        body = "print(1) print(2) print(3) " + "do print(4) print(5) print(6) print(7) print(8) " * depth
        source = body + "print(9)" + " end" * depth
        assert run_lua("lua51", protected_with(source, KEYS, target="lua51")) == run_lua("lua51", source)


def test_a_chain_of_as_many_elseifs_as_luau_allows_stays_a_chain() -> None:
    chain = "if x == 0 then print(0) " + " ".join(f"elseif x == {i} then print({i})" for i in range(1, 990)) + " end"
    same(f"print('a') x = 700 print('b') {chain} print('c')")


def test_what_loops_call_stays_whole_where_states_would_cost_more_than_its_work() -> None:
    function = f"local function work(x) {LONG} return x end"
    assert "while true do" in protected_with(f"{function} work(1)", KEYS)
    assert "while true do" not in protected_with(f"{function} for i = 1, 9 do work(i) end", KEYS)


def test_a_large_function_that_loops_call_gets_few_states() -> None:
    work = " ".join(f"t[{index}] = t" for index in range(90))
    function = f"local function f(t) {work} return t end"
    cold = protected_with(f"{function} f(t)", KEYS)
    hot = protected_with(f"{function} for i = 1, 9 do f(t) end", KEYS)
    assert "while true do" in hot
    assert hot.count("else") < cold.count("else") / 2


def test_libraries_are_read_where_the_compiler_sees_it_although_a_variable_comes_first() -> None:
    # As a variable that a machine assigns, `floor` would be called as any function; Luau has an instruction for it.
    source = (
        f"local count = 5 local floor, sqrt = math.floor, math.sqrt count = count + 1 {LONG} print(floor(sqrt(count)))"
    )
    for seed in SEEDS:
        assert re.search(r"local \w+,\w+=math\.floor,math\.sqrt", protected_with(source, KEYS, seed))
    same(source)


def test_no_other_pass_keeps_the_compiler_from_seeing_what_a_local_of_a_library_is() -> None:
    body = " ".join(f"t[{index}] = t[{index}] + x * {index}" for index in range(9))
    source = (
        f"local xor = bit32.bxor local t, x = {{}}, 1 local function f(a) t[a] = 1 {body} end {body} print(xor(f(1)))"
    )
    for seed in range(30):
        assert re.search(r"local \w+=bit32\.bxor", protected(source, "standard", seed, target="lua51"))

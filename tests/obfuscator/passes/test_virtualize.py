"""What `virtualize` keeps and what it changes; that programs behave the same is held by the equivalence tests."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.pipeline import protect
from support.luau import run_lua, run_luau
from support.protecting import protected, protected_with

ALONE = {"virtualize"}


def same(source: str, *, target: str = "luau") -> str:
    """The output of the source, which its build has too."""
    source = source.replace("\n", " ")  # a build is one line too, which messages tell
    build = protected_with(source, ALONE, target=target)
    before, after = run_luau(source), run_luau(build)
    assert after == before
    return before.output


def test_no_loop_or_function_of_the_script_is_left() -> None:
    build = protected(
        "local function sum(list) local s = 0 for _, v in pairs(list) do s = s + v end return s end print(sum{4, 5})",
        "maximum",
    )
    assert "pairs(" in build
    assert "for _" not in build
    assert run_luau(build).output == "9"


def test_the_same_seed_gives_the_same_build_and_another_one_another() -> None:
    source = "local t = {} for i = 1, 10 do t[i] = i * 2 end print(#t)"
    assert protected(source, "maximum", 4) == protected(source, "maximum", 4)
    assert protected(source, "maximum", 4) != protected(source, "maximum", 5)


@pytest.mark.parametrize("macro", ["LA_NO_VIRTUALIZE", "LPH_NO_VIRTUALIZE", "LPH_JIT", "LPH_JIT_MAX"])
def test_a_function_can_be_kept_out(macro: str) -> None:
    source = f"""
    local total, factor = 0, 3
    local add = {macro}(function(list) for _, value in next, list do total = total + value * factor end end)
    add({{ 1, 2, 3 }}) factor = 10 add({{ 1 }}) print(total)
    local function outer() local count = 0 return {macro}(function(...) count = count + select("#", ...) return count, (function() return total end)() end) end
    local inner = outer() inner(1, 2) print(inner(nil))
    """
    assert "in next," in protected_with(source, ALONE)
    assert run_luau(protected_with(source, ALONE)).output == "28\n3\t28"
    assert run_luau(protected(source, "maximum")).output == "28\n3\t28"
    assert run_lua("lua51", protected(source, "maximum", target="lua51")).output == "28\n3\t28"


def test_a_method_call_stays_one() -> None:
    assert ":FindFirstChild(" in protected("print(game:FindFirstChild('x'))", "maximum")


def test_a_script_with_exports_stays_as_it_is_and_says_so() -> None:
    outcome = protect(b"\nexport local answer = 42", Options("maximum"), 1)
    assert isinstance(outcome, Protected)
    assert outcome.warnings == ["line 2: a script with `export` is not virtualized"]


def test_a_script_that_looks_at_itself_is_warned() -> None:
    outcome = protect(b"local f = function() end\nsetfenv(f, {})\nprint(debug.traceback())", Options("maximum"), 1)
    assert isinstance(outcome, Protected)
    assert [warning.partition(";")[0] for warning in outcome.warnings] == [
        "line 3: debug sees the machine where it looks at a virtualized function",
    ]


def test_a_captured_local_is_read_when_its_operation_runs_as_in_luau() -> None:
    same(
        """
        local a = 1 local function f() a = a + 10 return a end
        print(a + f(), a * f(), a .. f(), a < f(), f() + a, (a) - f())
        local t = { 1, 2 } local function g() t = { 7, 8 } return 1 end
        print(t[g()]) t = { 1, 2 } t[1] = g() print(t[1], t[2]) t = { 1 } t[g()] = 5 print(t[1])
        a = 1 a += f() print(a) a = 1 a = a + f() print(a) local s = "x" local function h() s = "y" return "z" end s ..= h() print(s)
        """
    )


def test_closures_are_shared_where_luau_shares_them() -> None:
    source = """
    local function plain() return function() end end
    local constant, fixed = {}, 5
    local function using() return function() return constant end end
    local function folded() return function() return fixed end end
    local function each(n) return function() return n end end
    print(plain() == plain(), using() == using(), folded() == folded(), each(1) == each(1), each(1) == each(2))
    """
    assert same(source) == "true\ttrue\ttrue\tfalse\tfalse"


def test_loops_go_through_what_luau_goes_through() -> None:
    same(
        """
        for k, v in { 4, 5, x = 6 } do print(k, v) end
        for k in setmetatable({}, { __iter = function(self) return next, { a = 1 } end }) do print(k) end
        for i in setmetatable({}, { __call = function(_, _, i) i = (i or 0) + 1 if i < 4 then return i end end }) do print(i) end
        for k in setmetatable({}, { __iter = function() return next, { b = 1 } end, __metatable = "hidden" }) do print(k) end
        print(pcall(function() for _ in 5 do end end)) print(pcall(function() for _ in nil do end end))
        print(pcall(function() for i = 1, "x" do end end)) print(pcall(function() for i = {}, 2 do end end))
        for i = "1", 2 do print(i) end for i = 1, 0.5, -0.25 do print(i) end for i = 3, 1 do print(i) end
        for i = 1, 3 do local j = i i = i * 10 print(i, j) end
        """
    )


def test_errors_name_the_same_callers() -> None:
    same(
        """
        local function fail(level) error("message", level) end
        print(pcall(fail, 1)) print(pcall(fail, 2)) print(pcall(fail, 0))
        print(pcall(function() fail(2) end)) print(select("#", pcall(error)))
        local t = nil print(pcall(function() return t.x.y end)) print(pcall(function() return t() end)) print(pcall(function() return 1 + {} end))
        """
    )


def test_large_tables_keep_their_length_and_order() -> None:
    items = ", ".join(str(number) for number in range(300))
    names = ", ".join(f"key{number} = {number}" for number in range(60))
    same(f"local t = {{ {items} }} print(#t, t[1], t[300]) print(#{{ 1, nil, 3, nil, 5, 6, 7, 8, 9, nil, 11 }})")
    same(
        f"local t = {{ {names} }} local keys = {{}} for k in pairs(t) do keys[#keys + 1] = k end print(table.concat(keys, ' '))"
    )


def test_many_values_and_nested_calls_come_in_order() -> None:
    same(
        """
        local function many(n) local t = {} for i = 1, n do t[i] = i end return unpack(t) end
        print(select("#", many(200))) print((many(3)), many(3)) print(({ many(3), many(2) })[4], #{ many(3), (many(2)) })
        local log = {} local function note(x) log[#log + 1] = tostring(x) return x end
        local t = setmetatable({}, { __index = function(_, k) note("get " .. k) return function(_, ...) return ... end end, __newindex = function(_, k) note("set " .. k) end })
        t.a, t.b = note(1), note(2) t[note("k")] = note("v") t:m(note(3), (note(4))) t.x = t.y and t.z or note("no")
        local r = note(1) + note(2) * note(3) .. note(4) print(r, table.concat(log, " "))
        """
    )


def test_what_just_fits_the_compiler_fits_the_machine() -> None:
    names = ", ".join(f"v{number}" for number in range(190))
    values = ", ".join(f"{number} + 0" for number in range(230))
    chain = " .. ".join(f"x{number % 9}" for number in range(200))
    small = " ".join(f"local x{number} = {number}" for number in range(9))
    ladder = " ".join(f"elseif n == {number} then return {number}" for number in range(1, 900))
    same(f"local {names} = {values} print(v0, v189) local function f() return v3 end v3 = 7 print(f())")
    same(f"local function f({names}) return v0, v189 end print(f({values})) print(math.max({values}))")
    same(f"local function f(...) return {values} end print(select('#', f())) {small} print({chain})")
    same(f"local function f(n) if n == 0 then return 0 {ladder} end end print(f(0), f(899), f(900))")


def test_zero_and_minus_zero_stay_two_constants() -> None:
    source = "local function both(zero) local minus = -0 return 1 / zero, 1 / minus end print(both(0)) local here = 0 print(1 / here)"
    original = run_lua("lua51", source.replace("-0", "-(function() return 0 end)()")).output
    for seed in range(1, 13):
        assert run_lua("lua51", protected(source, "maximum", seed)).output == original

from __future__ import annotations

import gc

from moonlatch.obfuscator.analysis.scopes import Resolution, Symbol, resolve
from moonlatch.obfuscator.syntax.parser import parse


def resolved(source: str) -> Resolution:
    return resolve(parse(source.encode()))


def symbols(source: str, name: str) -> list[Symbol]:
    return [symbol for binding, symbol in resolved(source).symbols.items() if binding.name == name]


def test_a_local_is_not_visible_in_its_own_value() -> None:
    found = resolved("local x = x")
    assert [name.line for name in found.globals["x"]] == [1]
    assert symbols("local x = x", "x")[0].references == []


def test_a_local_function_is_visible_in_its_own_body() -> None:
    found = resolved("local function f() return f end")
    assert "f" not in found.globals


def test_a_condition_of_repeat_sees_the_locals_of_its_body() -> None:
    assert "done" not in resolved("repeat local done = true until done").globals


def test_a_loop_variable_ends_with_its_loop() -> None:
    found = resolved("for i = 1, i do print(i) end print(i)")
    assert len(found.globals["i"]) == 2


def test_shadowing_finds_the_innermost() -> None:
    outer, inner = symbols("local a = 1 do local a = a print(a, a) end print(a)", "a")
    assert (len(outer.references), len(inner.references)) == (2, 2)


def test_captures_and_assignments_are_known() -> None:
    (symbol,) = symbols("local n = 0 local function f() n = n + 1 end", "n")
    assert symbol.is_captured
    assert symbol.is_assigned
    (quiet,) = symbols("local n = 0 print(n)", "n")
    assert not quiet.is_captured
    assert not quiet.is_assigned


def test_assigned_globals_include_functions_and_compound_assignments() -> None:
    found = resolved("a = 1 b += 1 function c() end function d.e() end print(f)")
    assert set(found.assigned_globals) == {"a", "b", "c"}
    assert set(found.globals) == {"a", "b", "c", "d", "print", "f"}


def test_an_upvalue_is_handed_down_through_every_function_between() -> None:
    found = resolved("local x = 1 return function() return function() return x end end")
    assert [len(frame.upvalues) for frame in found.frames] == [0, 1, 1]


def test_varargs_belong_to_the_function_around_them() -> None:
    found = resolved("print((...)) local function f(...) end")
    assert [frame.uses_varargs for frame in found.frames] == [True, False]


def test_locals_are_counted_as_they_are_alive() -> None:
    found = resolved("local a do local b, c end local d do local e end")
    assert found.main.max_locals == 3


def test_a_fresh_name_avoids_every_variable_of_the_script() -> None:
    assert resolved("local pool = pool_").fresh_name("pool") == "pool__"
    assert resolved("local other").fresh_name("pool") == "pool"


def test_an_expression_is_known_to_hold_registers() -> None:
    arguments = ", ".join(["x"] * 150)
    assert resolved(f"f({arguments})").main.peak >= 150
    assert resolved(" .. ".join(["x"] * 100).join(["y = ", ""])).main.peak >= 99


def test_a_resolution_is_gone_as_soon_as_nobody_has_it() -> None:
    chunk = parse("local n = 0 local function f() local m = n return function() n = m end end return f")
    gc.collect()
    gc.disable()
    try:
        resolve(chunk)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_every_function_has_a_scope_and_of_the_other_blocks_those_that_declare_something() -> None:
    found = resolved("do print(1) end do local a end local function f() if x then return end end")
    assert [scope.frame.node is None for scope in found.scopes] == [True, True, False]

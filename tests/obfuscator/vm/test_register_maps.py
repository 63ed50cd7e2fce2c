"""Calls of one function of cold code have their registers in slots that differ from call to call."""

from __future__ import annotations

import random

import pytest

from moonlatch.obfuscator.vm.invariants import Invariants
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.register_maps import AT_ONCE, RegisterMaps
from support.luau import LuauResult, run_lua, run_luau
from support.protecting import protected

INTERPRETERS = ["luau", "lua51", "lua52", "lua53", "lua54", "luajit21", "luajit", "luajit -joff"]
SEEDS = range(1, 5)

WATCHING = """
function look()
    local place, name, value = 1, debug.getlocal(2, 1)
    while name do
        for slot = 1, type(value) == "table" and 80 or 0 do
            if rawget(value, slot) == "amber!" then print(slot) end
        end
        place = place + 1
        name, value = debug.getlocal(2, place)
    end
end
"""
CALLED = """
local function greet(name, note)
    local one = name .. "!"
    local two = one .. note
    look()
    LOOP
    return two
end
greet("amber", "?") greet("amber", "?") greet("amber", "?") greet("amber", "?") greet("amber", "?") greet("amber", "?")
"""


def run(interpreter: str, source: str) -> LuauResult:
    return run_luau(source) if interpreter == "luau" else run_lua(interpreter, source)


def slots_watched(script: str, seed: int) -> list[str]:
    """Those that a variable has in each call of the script's function, as Lua's debug library sees them."""
    result = run("lua51", f"{WATCHING} (function(...) {protected(script, 'maximum', seed)} end)()")
    assert result.error is None
    return result.output.split()


def test_a_variable_lies_elsewhere_in_the_next_call() -> None:
    for seed in SEEDS:
        slots = slots_watched(CALLED.replace("LOOP", ""), seed)
        assert len(slots) == 6
        assert len(set(slots)) >= 3


def test_a_function_with_a_loop_of_its_own_keeps_its_slots_and_its_speed() -> None:
    slots = slots_watched(CALLED.replace("LOOP", "while two == 1 do two = note end"), 1)
    assert len(slots) == 6
    assert len(set(slots)) == 1


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_the_maps_are_what_the_build_counts_on_everywhere(interpreter: str) -> None:
    names = Names("vm")
    for seed in SEEDS:
        generator = random.Random(seed)
        invariants = Invariants.drawn(names, generator)
        maps = RegisterMaps.drawn(names, invariants, generator)
        listed = ",".join(f"{names.moved}[{register}]" for register in range(1, AT_ONCE + 2))
        source = (
            f"local {names.select}=select {invariants.source} {maps.source(80, 64)} "
            f"for _=1,{len(maps.ways)} do {names.moved}={names.moved}[0] print({listed}) end print({names.kept}[0][80])"
        )
        *moved, kept = run(interpreter, source).output.splitlines()
        assert {tuple(map(int, line.split())) for line in moved} == {(*slots, AT_ONCE + 1) for slots in maps.ways}
        assert len(moved) == len(maps.ways)
        assert kept == "80"


def test_two_of_three_registers_never_lie_where_their_numbers_say() -> None:
    names = Names("vm")
    for seed in range(50):
        generator = random.Random(seed)
        maps = RegisterMaps.drawn(names, Invariants.drawn(names, generator), generator)
        assert sum(min(maps.places(register, moves=True)) > register for register in (1, 2, 3)) >= 2
        assert maps.places(2, moves=False) == {2}


@pytest.mark.parametrize("interpreter", ["luau", "lua51", "luajit"])
def test_calls_in_one_another_and_beside_one_another_keep_their_own(interpreter: str) -> None:
    script = """
    local function nested(depth, note)
        local one, two = note .. depth, depth - 1
        if depth > 0 then local below = nested(two, note) return one .. below end
        return one
    end
    local function beside(name, note)
        local one = name .. note
        local two = coroutine.yield(one)
        local three = coroutine.yield(two .. one)
        return three .. two .. one .. name
    end
    print(nested(12, "-"))
    local first, second, third = coroutine.wrap(beside), coroutine.wrap(beside), coroutine.wrap(beside)
    print(first("a", "b"), second("c", "d"), first("e"), third("f", "g"))
    print(third("h"), second("i"), third("j"), first("k"), second("l"))
    """
    expected = run(interpreter, script).output
    for seed in SEEDS:
        assert run(interpreter, protected(script, "maximum", seed)).output == expected

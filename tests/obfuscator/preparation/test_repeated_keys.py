"""Constructors that give a key twice: LuaJIT puts constants into a new table before whatever is computed."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from moonlatch.obfuscator.passes import REGISTRY
from support.luau import LuauResult, run_lua, run_luau
from support.protecting import keys_of_pass_alone, protected, protected_with

INTERPRETERS = ("luau", "lua51", "luajit", "luajit21")
CONSTRUCTORS = [
    "{ x = 1, x = 2 }",
    "{ x = 'first', x = 'second', x = 'third' }",
    "{ x = 'text', x = 12345 }",
    "{ x = 12345, x = 'text' }",
    "{ x = 1, ['x'] = 2 }",
    "{ x = -1, y = 3, x = -(2 + 3) }",
    "{ x = true, x = 77777 }",
    "{ x = 77777, x = false }",
    "{ [1] = 'keyed', 'placed' }",
    "{ [2] = 11111, 22222, 33333, [2.5] = 'half', [2.5] = 44444 }",
    "{ [true] = 'yes', [true] = 'no', x = 1 }",
    "{ x = 1, x = work(2) }",
    "{ x = { x = 5, x = 6 }, x = { x = 7, x = 8 } }",
]
PROGRAM = """
local function work(value) return value end
local function show(value)
  if type(value) ~= "table" then return tostring(value) end
  return show_all(value)
end
function show_all(t)
  return show(t.x) .. " " .. show(t.y) .. " " .. show(t[1]) .. " " .. show(t[2]) .. " " .. show(t[2.5]) .. " " .. show(t[true])
end
"""
SOURCE = PROGRAM + "\n".join(f"print(show_all({one}))" for one in CONSTRUCTORS)


def run(interpreter: str, text: str) -> LuauResult:
    result = run_luau(text) if interpreter == "luau" else run_lua(interpreter, text)
    assert result.error is None, result
    return result


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_the_last_one_counts_in_every_build(interpreter: str) -> None:
    right = run(interpreter, SOURCE).output
    assert right.startswith("2 nil")
    builds = {f"{profile} {seed}": protected(SOURCE, profile, seed) for profile in PROFILES for seed in range(3)}
    builds |= {
        f"{one.KEY} {seed}": protected_with(SOURCE, keys_of_pass_alone(one.KEY), seed)
        for one in REGISTRY
        for seed in range(4)
    }
    assert {name: run(interpreter, text).output for name, text in builds.items()} == dict.fromkeys(builds, right)


@pytest.mark.parametrize("interpreter", ["luau", "lua51"])
@pytest.mark.parametrize("constructor", ["{ 2, [1] = 1 }", "{ x = work(1), x = 2 }", "{ x = 1, x = work(2), x = 3 }"])
def test_where_luajit_keeps_another_value_the_others_keep_theirs(interpreter: str, constructor: str) -> None:
    source = f"{PROGRAM} print(show_all({constructor}))"
    right = run(interpreter, source).output
    builds = {f"{profile} {seed}": protected(source, profile, seed) for profile in PROFILES for seed in range(3)}
    assert {name: run(interpreter, text).output for name, text in builds.items()} == dict.fromkeys(builds, right)

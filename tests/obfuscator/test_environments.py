"""Scripts that give functions another environment: code that passes move or compile must see the one it had."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from support.luau import LuauResult, run_lua, run_luau
from support.protecting import kept_build

# Whoever has made a build keeps it for the tests that come next.
pytestmark = pytest.mark.xdist_group("environments")

SCRIPTS = {
    "the script's own": """
        local say, a, b, c = print, 10, 20, 30
        x, y = 1, 2
        say(a * x + b * 3 - c)
        local function before() return x + y * a - b end
        setfenv(1, { x = 100, y = 200, setfenv = setfenv, math = { floor = function() return "mine" end } })
        say(a * x + b * 3 - c, y * a - x * b, c * x + y)
        say(before(), math.floor(1.5))
        local function after() return x + y * a - b, c * x + a - y end
        say(after())
    """,
    "a caller's": """
        local say = print
        local function other() setfenv(2, { x = -1, setfenv = setfenv }) end
        other()
        say(x)
        local function made() return function() return x end end
        say(made()())
    """,
    "one of two neighbours": """
        local say = print
        x = 1
        local function first() setfenv(1, { x = 5 }) return x end
        local function second() return x end
        say(first(), second())
    """,
    "a function's that makes functions": """
        local say = print
        x = 1
        local function make(...) local held = ... return function() return x, held end, function(...) return x, ... end end
        setfenv(make, { x = "set" })
        local one, two = make(7)
        say(one()) say(two(8)) say(x, getfenv(one) == getfenv(make), getfenv(one).x)
        setfenv(one, { x = "again" })
        say(one()) say(two())
    """,
    "in a choice": """
        local say, x = print, 1
        local function work(c) local v = 1 + (if c then 1 else (setfenv(1, { value = 7 }) and 2)) return v, value end
        say(work(true)) say(work(false))
    """,
}
PLAIN = [name for name, source in SCRIPTS.items() if "if c then 1 else" not in source]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("target", [None, "luau"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_under_luau(profile: str, target: str | None, name: str) -> None:
    before = run_luau(SCRIPTS[name])
    assert before.error is None
    assert [run_luau(kept_build(SCRIPTS[name], profile, seed, target=target)) for seed in range(3)] == [before] * 3


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("interpreter", ["lua51", "luajit21"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_under_lua_51(profile: str, interpreter: str, name: str) -> None:
    source = SCRIPTS[name]
    before = run_lua(interpreter, source) if name in PLAIN else run_luau(source)
    assert before.error is None
    after: list[LuauResult] = []
    for target in (None, "lua51") if name in PLAIN else ("lua51",):
        after += [run_lua(interpreter, kept_build(source, profile, seed, target=target)) for seed in range(3)]
    assert after == [before] * len(after)

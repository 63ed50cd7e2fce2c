"""When a statement reads and writes a local that a call in it changes: whatever real Luau does, every profile does too.

Luau keeps a local in a register that closures share: it is read when the operation runs that it is an operand of, not where
it stands, or when a builtin is called. In a function that captures it, it is read where it stands.
"""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from support.luau import run_luau_batch
from support.protecting import protected, protected_with

PRELUDE = """
local count, t, u, k, a
local function say(...)
    local texts = {}
    for i = 1, select("#", ...) do local v = select(i, ...) texts[i] = type(v) == "table" and rawget(v, "id") or tostring(v) end
    print(table.concat(texts, " "))
end
local meta local function new(id) return setmetatable({ id = id }, meta) end
meta = {
    __index = function(self, key)
        if key == "m" then return function(...) say("m", ...) return 1, 2 end end
        if key == "inner" then return new(self.id .. ".inner") end
        say("get", self, key) return 10
    end,
    __newindex = function(self, key, value) say("set", self, key, value, "while", t, u, k, a) end,
    __call = function(self, ...) say("call", self, ...) return 1, 2 end,
    __concat = function(x, y) say("join", x, y) return "joined" end,
}
local function start(statement) count, t, u, k, a = 0, new("t"), new("u"), "x", 100 print("statement", statement) end
local function f() say("f") count += 1 t = new("t" .. count) k = "k" .. count a += 10 return 7, 8 end
local function g() say("g", t, u, k, a) u = t t = new("g") a += 1 return "y", 9 end
"""

STATEMENTS = [
    # Compound assignments
    "t[k] += f()",
    "t.x += f()",
    "t[k] ..= f()",
    "t[1] -= f()",
    "t[k] //= f() + f()",
    "t[g()] += f()",
    "t.inner[k] += f()",
    "t.inner[g()] += f()",
    "u[k] *= f()",
    "(t)[(k)] += f()",
    "t['x'] += a",
    "t[k] += if f() then a else 0",
    "a += f()",
    "a //= f()",
    "k ..= f()",
    # Assignments
    "t[k] = f()",
    "t.x = g()",
    "t[g()] = f()",
    "t[k .. g()] = a",
    "t.inner[k] = f()",
    "t[k] = a + f()",
    # Several targets
    "t[k], u = f(), 2",
    "u, t[k] = f(), f()",
    "t[k], t[k] = f()",
    "t[g()], u[k] = f(), a",
    "u[1], a = a, f()",
    "a, u[1] = 5, g()",
    "a, u[a] = 5, g()",
    "a, k = k, a",
    "t, t[k] = u, f()",
    "k, t[k] = 'z', f()",
    "u[k], t[k], a = t, f()",
    "a, u.x = f(), g(), f()",
    "count, a = f()",
    "u[1], u[2] = a, (f())",
    # Expressions
    "say(a + f(), a // f(), a .. f(), a < f(), a == f(), f() - a)",
    "say(t[f()], t[k .. g()])",
    "say(t:m(a, f()))",
    "say(t:m(f()), t:m(a, (f())))",
    "t:m(f())",
    "say(t(a, f()), a, f())",
    "for key, value in { [k] = f() } do say(key, value) end",
    "for key, value in { [k .. g()] = f() } do say(key, value) end",
    "say(`{a} {f()} {k}`)",
    "say((function(...) return a, ... end)(a, f()))",
    "do local p, q = a, f() say(p, q) end",
    # Builtins, which Luau calls in another way where it recognises them
    "say(math.min(a, f()), math.min(a, (f())), math.min(a, f() + 500), math.min(a, a, f() + 500))",
    "say(math.clamp(f() + 0, a, f() + 500), math.min(a, a, a, f() + 500), string.rep(k, f() - 6))",
    "say(rawequal(t, (f())), rawequal(k, `k{f()}`), string.sub(k, 1, (f())), rawequal(k, { f() }))",
    "say(math.min(a, if f() then 500 else a), math.min(a, f() and 500), math.min(a, not f() and 1 or 500))",
    "say((math.min)(a, f() + 500), (math.min :: any)(a, f() + 500), math['min'](a, f() + 500))",
    "do local low, held, n = math.min, math, (math.min) say(low(a, g() and 500), held.min(a, g() and 500), n(a, g() and 500)) end",
    "do local held, n = (math), math local low = n.min say(held.min(a, g() and 500), n.min(a, g() and 500), low(a, g() and 500)) end",
    "do local low = math.min low = math.min say(low(a, g() and 500), (low)(a, g() and 500)) end",
    "math.min(a, f() + 500); say(a)",
]
PLACES = {
    "own": "{}",
    "own, in a loop": "for _ = 1, 2 do {} end",
    "captured": "(function() {} end)()",
    "captured, in a loop": "(function() for _ = 1, 2 do {} end end)()",
}
# A build is one line too, which messages tell.
SOURCES = [
    (
        PRELUDE
        + "\n".join(f"start({statement!r}); {form.format(statement)}; say(t, u, k, a)" for statement in STATEMENTS)
    ).replace("\n", " ")
    for form in PLACES.values()
]


@pytest.fixture(scope="module")
def expected() -> dict[str, list[str]]:
    results = run_luau_batch(SOURCES)
    assert [one.error or one.compile_error for one in results] == [None] * len(results)
    return {place: _by_statement(one.output) for place, one in zip(PLACES, results, strict=True)}


def _by_statement(output: str) -> list[str]:
    return output.split("statement\t")[1:]


def outcomes(texts: list[str]) -> dict[str, list[str]]:
    return {place: _by_statement(one.output) for place, one in zip(PLACES, run_luau_batch(texts), strict=True)}


def test_virtualized_statements_read_locals_when_luau_does(expected: dict[str, list[str]]) -> None:
    assert outcomes([protected_with(source, {"virtualize"}) for source in SOURCES]) == expected


@pytest.mark.parametrize("target", ["luau", "lua51"])
@pytest.mark.parametrize("profile", PROFILES)
def test_protected_statements_read_locals_when_luau_does(
    expected: dict[str, list[str]], profile: str, target: str
) -> None:
    assert outcomes([protected(source, profile, 3, target=target) for source in SOURCES]) == expected


# A key that is nil or NaN is an error as soon as its value is there, before what comes after it.
TABLES = [
    "{ [key] = 1, f(1) }",
    "{ [key] = f(0), f(1) }",
    "{ f(0), [key] = f(1), f(2), [f(3)] = f(4), f(5) }",
    "{ x = f(0), [key] = 1, y = f(2) }",
    "{ [f('k')] = f(0), [key] = 1, [f('l')] = f(2) }",
    "{ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, f(17), [key] = f(1), f(18) }",
    "{ [change()] = f(key), [key] = f(1), f(2) }",
    "{ [key] = change(), f(2) }",
    "{ [0 / 0] = 1, f(1) }",
]
TABLE_SOURCE = " ".join(
    [
        "local function f(x) print('f', x) return x end local function try(work) print(pcall(work)) end",
        "local function run(first, second) local key = first",
        "local function change() key = second print('change') return 1 end",
        *[f"key = first try(function() print(#{text}) end)" for text in TABLES],
        "try(function() local key = first local function change() key = second return 1 end print(#{ [key] = change(), f(2) }) end) end",
        "run(nil, 1) run(0 / 0, 2) run(3, nil) run(4, 0 / 0) run(5, 6)",
    ]
)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_wrong_key_is_an_error_before_what_comes_after_it(profile: str) -> None:
    results = run_luau_batch([TABLE_SOURCE, *(protected(TABLE_SOURCE, profile, seed) for seed in range(3))])
    assert "table index is nil" in results[0].output
    assert "table index is NaN" in results[0].output
    assert results[1:] == results[:1] * 3

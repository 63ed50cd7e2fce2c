"""Programs in plain Lua with one thing in them that only Luau has, or none: what decides whether they need Luau.

The plain part is a generated program written in plain Lua by the protector itself: any program would do, as long as it
does the same protected as it does itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from moonlatch.obfuscator import pipeline
from moonlatch.obfuscator.options import Options
from moonlatch.obfuscator.outcome import Protected
from moonlatch.obfuscator.passes import lower_luau
from moonlatch.obfuscator.target import Target
from support.generated.draw import Scope
from support.generated.program import Program, generated_program
from support.generated.scenes import identity


def plain_program(generator: random.Random) -> str:
    """Plain Lua that runs everywhere, and prints on each host what it prints there."""
    writer = Program(generator, portable=True)
    scenes = [writer.one_of(identity.SCENES)(writer, Scope()) for _ in range(writer.between(1, 2))]
    return _plain_text(generator) + "".join(f"\ndo {scene} end" for scene in scenes)


def single_program(generator: random.Random) -> str:
    """As `plain_program`, with one feature of Luau in one to three places."""
    writer = Program(generator, portable=True)
    feature = writer.one_of(FEATURES)
    places = [_somewhere(writer, feature(writer)) for _ in range(writer.between(1, 3))]
    return "\n".join([_plain_text(generator), *places])


def _plain_text(generator: random.Random) -> str:
    while True:
        source = generated_program(generator, portable=True).encode("latin-1")
        outcome = pipeline.protect_with(source, Options("minify", Target.LUA51), 1, {lower_luau.KEY})
        if isinstance(outcome, Protected):  # a few are too large for Lua 5.1
            return outcome.text


def _somewhere(w: Program, code: str) -> str:
    return w.pick(
        f"do {code} end",
        f"try(function(...) {code} end, 1, 2)",
        f"local function work(...) {code} end say(pcall(work, 3))",
        f"for round = 1, 2 do {code} end",
        f"try(coroutine.wrap(function() {code} end))",
    )


def iteration(w: Program) -> str:
    values = "{ x = 1 }", "{ 4, 5, 6 }", "{}", "{ { 7 }, { 8 } }"
    made = w.pick(
        f"local t = {w.one_of(values)}",
        f"local t = setmetatable({w.one_of(values)}, {{}})",
        "local t = setmetatable({}, { __iter = function(self) return function(_, at) if at ~= 3 then return (at or 0) + 1 end end, self end })",
        "local t = setmetatable({}, { __call = function(_, _, at) if at ~= 2 then return (at or 0) + 1, 'called' end end })",
        "local at = 0 local t = function() at = at + 1 if at < 3 then return at end end",
        "local t = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i, i) end end)",
        f"local t = {w.pick('nil', '5', 'true', '[[text]]')}",
        "local list = { 9, 8 } local t = setmetatable({}, { __index = list, __iter = function() return next, list end })",
    )
    source = w.pick("t", "t", "(t)", "({ t })[1]", "(function() return t end)()", "t, nil", "t, nil, nil", "t or {}")
    body = w.pick(
        "say(k, v)",
        "say(k) if v then break end",
        "kept[#kept + 1] = function() k = k return k, v end",
        "local copy = k k = nil say(copy, v)",
    )
    return f"local kept = {{}} {made} for k, v in {source} do {body} end for i = 1, #kept do say(kept[i]()) end"


def compound(w: Program) -> str:
    operator, value = w.pick("+", "-", "*", "/", "%"), w.pick("2", "f()", "n", "(f())")
    target = w.pick("n", "t.x", "t['x']", "t[k]", "g_")
    return f"local n, k, t = 5, 'x', {{ x = 7, y = 1 }} g_ = 3 local function f() n = 11 k = 'y' return 2 end {target} {operator}= {value} say(n, t.x, t.y, g_)"


def jump(w: Program) -> str:
    loop = w.pick("for i = 1, 4 do", "local i = 0 while i < 4 do i = i + 1", "for _, i in ipairs({ 1, 2, 3, 4 }) do")
    return f"local kept = {{}} {loop} local own = i * 2 if i == {w.between(1, 4)} then continue end kept[#kept + 1] = function() own = own + 1 return own end say(i) end for i = 1, #kept do say(kept[i]()) end"


def choice(w: Program) -> str:
    expression = w.pick(
        "if x == 1 then x + f() else 0",
        "if f() == 1 then x else false",
        "if x > 1 then nil elseif f() then x else 2",
        "if ... then (...) else f() + x",
        "(if x then false else x) or f()",
    )
    use = w.pick(
        "say(EXPRESSION)", "local v = EXPRESSION say(v)", "say(x + f(), 1 + (EXPRESSION), x)", "x = EXPRESSION say(x)"
    )
    return f"(function(...) local x = 1 local function f() x = 10 return 1 end {use.replace('EXPRESSION', expression)} end)({w.pick('', '3', 'nil', 'false')})"


def interpolation(w: Program) -> str:
    return f"local n = {w.one_of(['5', 'true', '{1}'])} say(`{w.pick('a', '', '100%')}{{type(n)}}{w.pick('b', '')}`, `plain`)"


def constant(w: Program) -> str:
    value = w.pick("5", "'text'", "{}", "function() return 1 end", "nil")
    return f"const held = {value} local function make() const inner = {value} return function() return held, inner end end say(make() == make(), type(held))"


def types(w: Program) -> str:
    return w.pick(
        "local n: number = 5 say(n + 1)",
        "type Pair<T> = { first: T } local pair: Pair<number> = { first = 1 } say(pair.first)",
        "local function f<T>(x: T, ...: any): T return x end say(f(3))",
        "local made = (function() return 7 end :: any) local function make() return function() return made() end end say(make() == make())",
    )


def numerals(w: Program) -> str:
    return f"say({w.pick('0b1011', '1_000', '0x_F', '0B11_11')}, 2)"


def escapes(w: Program) -> str:
    return "say(" + w.pick("'\\x41\\z   b'", "'\\u{48}i'", "#'\\u{e9}'") + ")"


def attributes(w: Program) -> str:
    return f"@native local function quick(x) return x {w.pick('+', '*')} 2 end say(quick(4))"


def rounded(w: Program) -> str:
    return f"local x = {w.pick('7', '-7', '5.5')} say(x // 2, x // {w.pick('3', '-3')})"


FEATURES: list[Callable[[Program], str]] = [
    iteration,
    iteration,
    iteration,
    compound,
    jump,
    choice,
    choice,
    interpolation,
    constant,
    types,
    numerals,
    escapes,
    attributes,
    rounded,
]
"""What takes a program out of plain Lua by itself; those that one place forgets more easily come more often."""

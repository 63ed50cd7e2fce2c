"""Which closures are the same: compared by `==`, as keys of a table, and as metamethods that both operands must share."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements

HELD = [
    "5",
    "'text'",
    "1 + 2",
    "nil",
    "{}",
    "given",
    "outer_",
    "function() return 7 end",
    "(function() return 8 end)",
    "#'abc'",
]


def _uses(w: Statements, *names: str) -> str:
    """What a function returns: some of the variables, and something of its own."""
    return ", ".join([*(name for name in names if w.chance(0.3)), w.pick("1", "'own'", "select('#', ...)", "a")])


def luau_closures_of_one_expression(w: Statements, scope: Scope) -> str:
    del scope
    make, seen = w.fresh("make"), w.fresh("seen")
    change = w.pick("", "", "", "held = 1", "outer_ = 3", "given = 2", "helper = nil")
    helper = w.pick(
        f"local function helper(...) return {_uses(w, 'outer_')} end",
        f"local helper = function(...) return {_uses(w, 'held')} end",
        f"local function helper(...) return {_uses(w, 'helper', 'given')} end",
    )
    body = w.pick(
        f"return function(a, ...) return {_uses(w, 'outer_', 'held', 'given', 'helper')} end",
        f"local function result(a, ...) return {_uses(w, 'result', 'outer_', 'held', 'helper')} end return result",
        f"local result = {{}} function result.call(a, ...) return {_uses(w, 'outer_', 'held', 'helper')} end return result.call",
        f"return (function() return function(a, ...) return {_uses(w, 'outer_', 'held', 'helper')} end end)()",
        f"if given then return function(a, ...) return {_uses(w, 'held', 'helper')} end end return function(a, ...) return 0 end",
    )
    return f"""local outer_ = {w.pick("{}", "12", "say", "function() end")}
local function {make}(given)
local held = {w.one_of(HELD)}
{helper}
{body.replace(" return", f" {change} return", 1) if change and w.chance(0.5) else f"{change} {body}"} end
say({make}(1) == {make}(1), {make}(1) == {make}(2), {make}(nil) == {make}(nil))
local {seen} = {{}} {seen}[{make}(1)] = 'first' {seen}[{make}(2)] = 'second' say({seen}[{make}(1)], {seen}[{make}(2)])
say(type({make}(3)(4)))"""


def luau_closures_of_a_loop(w: Statements, scope: Scope) -> str:
    del scope
    kept = w.fresh("kept")
    head = w.pick("for i = 1, 3 do", "for _, i in ipairs({ 1, 2, 3 }) do", "local i = 0 while i < 3 do i = i + 1")
    held = w.one_of(HELD).replace("given", "i").replace("outer_", kept)
    uses = _uses(w, "held", kept, "helper").replace("...", "1").replace(", a", ", 2")
    uses = "3" if uses == "a" else uses
    return f"""local {kept} = {{}}
{head} local held = {held} local function helper() return {w.pick("1", "held", kept)} end
{kept}[i] = function() return {uses} end end
say({kept}[1] == {kept}[2], {kept}[2] == {kept}[3])"""


def luau_metamethods_made_per_object(w: Statements, scope: Scope) -> str:
    del scope
    make = w.fresh("make")
    form = lambda operator: w.pick(  # noqa: E731 - three times below
        f"function(a, b) return a.x {operator} b.x end",
        f"function(a, b) local left, right = a.x, b.x return left {operator} right end",
        f"function(a, b) local field = 'x' return a[field] {operator} b[field] end",
        f"function(a, b) if a.name ~= b.name then return a.x + 0 {operator} b.x + 0 end return a.x * 2 + 1 {operator} b.x * 2 + 1 end",
        f"function(a, b) return x_of(a) {operator} x_of(b) end",
    )
    return f"""local function x_of(object) return object.x end
local function {make}(x)
{w.pick("", "local limit = 10", "local unused = x")}
return setmetatable({{ x = x, name = 'n' }}, {{ __eq = {form("==")}, __lt = {form("<")}, __le = {form("<=")} }}) end
say({make}(1) == {make}(1), {make}(1) == {make}(2), {make}(1) ~= {make}(1))
try(function() return {make}(1) < {make}(2), {make}(2) < {make}(1), {make}(2) <= {make}(2) end)"""


SCENES = [luau_closures_of_one_expression, luau_closures_of_a_loop, luau_metamethods_made_per_object]
"""All begin with `luau_`: other Luas share other closures, or none."""

"""Captured variables: a fresh one per iteration, shared ones, assigned ones, deep ones."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements


def one_closure_per_iteration(w: Statements, scope: Scope) -> str:
    kept, extra = w.fresh("kept"), w.fresh("extra")
    head = w.pick(
        "for i = 1, 3 do",
        "for i = 3, 1, -1 do",
        "for _, i in ipairs({ 4, 5, 6 }) do",
        "for i in { 7, 8 } do",
        "local n = 0 while n < 3 do n += 1 local i = n",
    )
    change = w.pick("", f"{extra} += i", "if i == 2 then continue end", "i = i * 10")
    before = w.pick("", "if i == 2 then continue end", "if i == 5 then break end")
    inner = scope.inner(loop="any")
    inner.declare("i", "number")
    return f"""local {kept} = {{}}
{head} {before} local {extra} = {w.value("number", inner, 2)}
{kept}[#{kept} + 1] = function(d) {extra} = num({extra}) + d i += 1 return i, {extra} end
{change} {w.statement(inner, 1)} end
for _, call in ipairs({kept}) do say(call(1)) say(call({w.value("number", scope, 1)})) end"""


def a_variable_shared_by_closures(w: Statements, scope: Scope) -> str:
    made = w.fresh("made")
    inner = scope.function(has_varargs=False)
    inner.declare("count", "number")
    return f"""local function {made}(count)
local function add(d) count = num(count) + d return count end
local function read() return count end
local function replace(value) local old = count count = value return old, function() count = 0 return count end end
{w.statement(inner, 1)}
return add, read, replace end
local add, read, replace = {made}({w.value("number", scope, 2)})
local other_add, other_read = {made}(100)
say(add(1), read(), other_add(5), read(), other_read())
local old, reset = replace({w.value("number", scope, 1)})
say(old, read(), reset(), read(), add(2), other_read())"""


def closures_three_deep(w: Statements, scope: Scope) -> str:
    inner = scope.function(has_varargs=False)
    for name in ("one", "two", "three"):
        inner.declare(name, "any")
    assign = w.pick("one = three", "two = { one }", "one, three = three, one", "three = one and two")
    return f"""local function outer_(one)
return function(two) return function(three) {assign} {w.statement(inner, 1)} return one, two, three end, function() return one, two end end end
local deep, peek = outer_({w.value("any", scope, 1)})({w.value("any", scope, 1)})
say(deep({w.value("any", scope, 1)})) say(peek()) say(deep(5))"""


def a_loop_variable_that_the_body_changes(w: Statements, scope: Scope) -> str:
    inner = scope.inner(loop="any")
    inner.declare("step_", "number")
    return f"""local seen = {{}}
for step_ = 1, {w.between(2, 5)} do step_ = step_ * 2 seen[#seen + 1] = step_ {w.statement(inner, 1)} end
say(seen)
for key, value in ipairs({{ 1, 2, 3 }}) do key, value = value, key + 10 say(key, value) end"""


def recursion_by_local_names(w: Statements, scope: Scope) -> str:
    depth = w.pick("5", "12", "150")
    inner = scope.function(has_varargs=False)
    return f"""local even, odd
function even(n) if n == 0 then return true, {w.value("any", inner, 1)} end return odd(n - 1) end
odd = function(n) if n == 0 then return false end return even(n - 1) end
say(even({depth}))
local function sum(n, ...) if n <= 0 then return select('#', ...), ... end return sum(n - 1, n, (...)) end
say(sum({w.between(0, 6)}))
local function depth_of(n) if n == 0 then return 0 end return 1 + depth_of(n - 1) end
say(depth_of({w.pick("10", "1000")}))
local fib = function(n) return n end
local fib = function(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end say(fib(7))"""


def until_sees_the_locals_of_the_body(w: Statements, scope: Scope) -> str:
    inner = scope.inner(loop="any")
    inner.declare("reached", "number")
    guard = w.pick("if reached == 2 then say('skip') continue end", "if reached == 3 then break end", "")
    condition = w.pick(
        "reached > 3 or not burn()",
        "kept(reached) or not burn()",
        "(function() return reached >= 3 end)() or not burn()",
    )
    return f"""local n, last = 0, nil
local function kept(value) return value > {w.between(2, 5)} end
repeat n += 1 local reached = n last = function() reached += 1 return reached end {guard}
{w.statement(inner, 1)} until {condition}
say(n, last and last())"""


SCENES = [
    one_closure_per_iteration,
    a_variable_shared_by_closures,
    closures_three_deep,
    a_loop_variable_that_the_body_changes,
    recursion_by_local_names,
    until_sees_the_locals_of_the_body,
]

"""Coroutines: what goes in and out, where they may yield, how they end."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements


def values_in_and_out(w: Statements, scope: Scope) -> str:
    inner = scope.function(has_varargs=True, can_yield=True)
    inner.declare("a", "any")
    rounds = w.between(2, 5)
    return f"""local routine = coroutine.create(function(a, ...) say('in', a, ...)
local got, more = coroutine.yield({w.several(inner, 1)}) say(got, more)
{w.statements(inner, 2, 2)}
for index = 1, 2 do say((coroutine.yield(index, nil))) end
return {w.several(inner, 1)} end)
say(coroutine.status(routine))
for round = 1, {rounds} do say(outcome(coroutine.resume(routine, round, nil, 'x'))) say(coroutine.status(routine)) end"""


def generators(w: Statements, scope: Scope) -> str:
    inner = scope.function(has_varargs=False, can_yield=True)
    inner.declare("index", "number")
    return f"""local function each(n) return coroutine.wrap(function() for index = 1, n do {w.statement(inner, 1)} coroutine.yield(index, index * 2) end end) end
for index, double in each({w.between(0, 4)}) do say(index, double) if index == 3 then break end end
local function walk(tree) if tree then walk(tree[1]) coroutine.yield(tree.name) walk(tree[2]) end end
local names = coroutine.wrap(function() walk({{ {{ name = 'left' }}, {{ name = 'right' }}, name = 'root' }}) return nil end)
say(names(), names(), names(), names(), (pcall(names)))"""


def errors_inside(w: Statements, scope: Scope) -> str:
    thrown = w.pick("{ x = 1 }", "nil", "'E:text'", "12", "false")
    return f"""local routine = coroutine.create(function(...) coroutine.yield(...) error({thrown}) end)
say(outcome(coroutine.resume(routine, 1, 2))) say(outcome(coroutine.resume(routine))) say(coroutine.status(routine), (coroutine.resume(routine)))
local wrapped = coroutine.wrap(function() error({thrown}) end) try(wrapped)
local inner_one local outer_one = coroutine.wrap(function() inner_one = coroutine.wrap(function() coroutine.yield('inner') return 'done' end) coroutine.yield(inner_one()) return inner_one() end)
say(outer_one(), outer_one())"""


def luau_yields_across_calls(w: Statements, scope: Scope) -> str:
    inner = scope.function(has_varargs=True, can_yield=True)
    return f"""local routine = coroutine.wrap(function(...)
say(outcome(pcall(function(...) {w.statements(inner, 2, 2)} say('back', coroutine.yield('in pcall', ...)) error({w.pick("{ x = 2 }", "'E:after'", "nil")}) end, ...)))
say(xpcall(function() return coroutine.yield('in xpcall') end, function(problem) return problem_text(problem) end))
local object = setmetatable({{}}, {{ __call = function(_, ...) return coroutine.yield('call', ...) end }}) say(object(1, nil))
return 'end', coroutine.isyieldable() end)
for round = 1, 12 do local step = {{ pcall(routine, round, nil) }} say(step[1], step[2], step[3]) if not step[1] or step[2] == 'end' then break end end"""


def luau_closing(w: Statements, scope: Scope) -> str:
    return f"""local routine = coroutine.create(function() {w.pick("coroutine.yield(1)", "error('E:x')", "return 2")} end)
say(coroutine.resume(routine)) say(coroutine.close(routine)) say(coroutine.status(routine), coroutine.resume(routine))
say(coroutine.isyieldable(), kind_of(coroutine.running()), {w.value("any", scope, 1)})"""


SCENES = [values_in_and_out, generators, errors_inside, luau_yields_across_calls, luau_closing]

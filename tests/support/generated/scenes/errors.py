"""Raised values of every type, caught, passed on and raised again."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements


def values_thrown_again(w: Statements, scope: Scope) -> str:
    inner = scope.function(has_varargs=False)
    return f"""local token = {{ x = 1 }}
for _, thrown in ipairs({{ token, 'E:text', 12, true, say, 0.5, setmetatable({{}}, {{ __tostring = function() return 'E:object' end }}) }}) do
local fine, caught = pcall(function() {w.statement(inner, 1)} local ok, value = pcall(error, thrown, {w.pick("0", "1", "2")}) error(value, 0) end)
say(fine, caught == thrown or problem_text(caught)) end
say(pcall(error)) say(pcall(error, nil)) say(select('#', pcall(error)))"""


def luau_handlers(w: Statements, scope: Scope) -> str:
    return f"""say(xpcall(function(...) error({w.pick("{ x = 5 }", "'E:one'", "nil", "77")}) end, function(...) say(select('#', ...), problem_text((...))) return {w.several(scope.function(has_varargs=True), 1)} end, 1, 2))
say(xpcall(function(...) return ... end, say, 1, nil, 3))
local function finally(work, ...) local results = {{ pcall(...) }} work(#results > 0) if not results[1] then error(results[2], 0) end return results[2], results[3] end
try(function() return finally(say, function(a) return a, 2 end, 1) end) try(function() return finally(say, error, 'E:inner', 0) end)"""


def luau_assertions(w: Statements, scope: Scope) -> str:
    return f"""try(function(...) return assert({w.value("any", scope, 2)}, 'E:message', 3) end)
try(function() return assert(1, 2, nil, 4) end) try(function() assert(false, {{ x = 3 }}) end) try(function() assert(nil) end)
try(function() local a, b = assert(pcall(say, 1)) say(a, b) return a end)"""


def faults_at_run_time(w: Statements, scope: Scope) -> str:
    faults = [
        "nil + 1",
        "{} .. 'x'",
        "#5",
        "-{}",
        "1 < 'x'",
        "{} < {}",
        "(nil).x",
        "(nil)[1]",
        "('x').y.z",
        "nothing_there()",
        "('x')()",
        "({})[nil]",
        "2 ^ {}",
        "'a' * 2",
        "nil .. 1",
        "('x'):nothing()",
        "({}):nothing()",
        "nothing_there.field",
        "1 <= nil",
    ]
    statements = [
        "local a a.b = 1",
        "local a = {} a[nil] = 1",
        "local a = {} a[0/0] = 1",
        "for i = 1, 'x' do end",
        "for i = {}, 2 do end",
        "local a = 1 a += {}",
        "local s = 's' s ..= {}",
        "for a in 5 do end",
        "local a = {} a.b.c = 1",
        "local a a()",
        "string.rep()",
        "local text = ('x'):rep({})",
        "setmetatable(1, {})",
        "error(setmetatable({}, {}))",
    ]
    chosen = "\n".join(f"try(function(...) return {w.one_of(faults)} end)" for _ in range(3))
    return chosen + "".join(
        f"\ntry(function(...) {w.statement(scope.function(has_varargs=True), 1)} {w.one_of(statements)} end)"
        for _ in range(2)
    )


def returns_out_of_nested_blocks(w: Statements, scope: Scope) -> str:
    inner = scope.function(has_varargs=True)
    inner.declare("n", "number")
    return f"""local function find(n, ...)
for i = 1, 3 do local j = 0 repeat j += 1 if i * j == n then return 'found', i, j end if j == 2 and i == 2 then break end
do if i == 3 then {w.statement(inner, 1)} if n > 90 then return ... end end end until j >= 3
while true do if i == 2 then break end if n == 50 then return pcall(function() return 'inner', i end) end break end end
return nil, 'none' end
say(find(6)) say(find(2)) say(find({w.between(0, 9)})) say(find(99, 1, nil)) say(find(50))"""


SCENES = [values_thrown_again, luau_handlers, luau_assertions, faults_at_run_time, returns_out_of_nested_blocks]

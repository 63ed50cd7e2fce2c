"""Loops: bounds, steps, jumps out of and into the next round, iterators of every kind."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements


def jumps_in_nested_loops(w: Statements, scope: Scope) -> str:
    inner = scope.inner(loop="any")
    inner.declare("i", "number")
    inner.declare("j", "number")
    jump = [w.pick("break", "continue") for _ in range(3)]
    return f"""for i = 1, 4 do
if i == {w.between(1, 4)} then {jump[0]} end
for j = 1, 4 do if j == {w.between(1, 4)} then {jump[1]} end local k = 0
while k < 3 do k += 1 if k == {w.between(1, 3)} then {jump[2]} end {w.statement(inner, 1)} say(i, j, k) end
if not burn() then break end end end"""


def bounds_and_steps(w: Statements, scope: Scope) -> str:
    bounds = [
        "1, 0",
        "0, 1, 0.25",
        "3, 1, -1",
        "1, 3, 5",
        "-1, -3, -1",
        "1.5, 3",
        "0.1, 0.35, 0.1",
        "1e15, 1e15 + 2",
        "2^53 - 1, 2^53 + 1, 2",
        "-1e308 * 10, 0",
        "5, 1",
        "1, 3, 0.5",
        "0, -0",
        "0/0, 1",
        "1, 0/0",
    ]
    loops = "\n".join(
        f"do local rounds = 0 for i = {w.one_of(bounds)} do rounds += 1 say(i) if rounds > 5 then break end end say(rounds) end"
        for _ in range(3)
    )
    ids = [w.number_for() for _ in range(3)]
    start = w.value("number", scope, 1)
    if (
        w.portable
    ):  # Lua 5.1 and LuaJIT take the step from the start and add it again, which rounds what is tiny beside it
        start = f"math.floor({start})"
    return f"{loops}\nfor i = t({ids[0]}, {start}) % 3, t({ids[1]}, 4), t({ids[2]}, 2) do say(i) if not burn() then break end end"


def iterators_of_every_kind(w: Statements, scope: Scope) -> str:
    inner = scope.inner(loop="any")
    inner.declare("key", "any")
    inner.declare("value", "any")
    body = f"say(key, value) {w.pick('', 'if key == 2 then break end', 'if key == 1 then continue end')} {w.statement(inner, 1)}"
    sources = [
        "{ 5, 6, 7 }",
        "ipairs({ 5, 6, nil, 8 })",
        "next, { x = 1 }",
        "pairs({ 'only' })",
        "pairs({})",
        "counter(3)",
        "function(state, at) if at ~= 0 then return 0, state end end",
        "rawget, { 1 }, 1",
        "string.gmatch('k1=v1,k2=v2', '(%w+)=(%w+)')",
        "next, {}, nil",
    ]
    if w.chance(0.5):
        sources = [f"(function() return {source} end)()" for source in sources]
    chosen = "\n".join(
        f"do local rounds = 0 for key, value in {w.one_of(sources)} do rounds += 1 if rounds > 4 then break end {body} end end"
        for _ in range(3)
    )
    return f"local function counter(n) local at = 0 return function(...) at += 1 if at <= n then return at, select('#', ...) end end end\n{chosen}"


def conditions_that_are_not_booleans(w: Statements, scope: Scope) -> str:
    value = lambda: w.value("any", scope, 2)  # noqa: E731 - four times below
    return f"""if {value()} then say('first') elseif {value()} and {value()} then say('second') elseif not {w.operand("any", scope, 1)} or {value()} then say('third') else say('fourth') end
local n = 0 while n < 3 and (n == 0 or {value()}) do n += 1 say(n) end
repeat n -= 1 until n <= 0 or {w.value("boolean", scope, 2)}
say({w.logic(scope, 2)}) local chosen = {w.logic(scope, 1)} say(chosen, if chosen then 1 else 2, chosen and 1 or 2)"""


def many_branches(w: Statements, scope: Scope) -> str:
    count = w.between(5, 25)
    branches = " else".join(
        f"if n == {index} then {'say(' + str(index) + ')' if w.chance(0.7) else w.say(scope, 1)} "
        for index in range(count)
    )
    return f"for n = 0, {count}, {w.between(1, 3)} do {branches} else say('none') end end"


SCENES = [
    jumps_in_nested_loops,
    bounds_and_steps,
    iterators_of_every_kind,
    conditions_that_are_not_booleans,
    many_branches,
]

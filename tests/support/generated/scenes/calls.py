"""Arguments and results: how many there are, which are cut to one, and in which order they are evaluated."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements


def varargs_with_nils(w: Statements, scope: Scope) -> str:
    take = w.fresh("take")
    inner = scope.function(has_varargs=True)
    inner.declare("first", "any")
    use = w.pick(
        "local a, b, c = ...",
        "local a, b, c = nil, ...",
        "local a, b, c = (...), ...",
        "local a, b, c = select(2, ...)",
        "local list = { ... } local a, b, c = list[1], #list > 99, list[3]",
    )
    give = w.pick(
        "...",
        "(...)",
        "first, ...",
        "..., first",
        "select(-1, ...)",
        "a, b, c",
        "{ ... }, ...",
        "select('#', ...), ...",
    )
    arguments = ", ".join(w.pick("nil", "1", "false", w.value("any", scope, 1)) for _ in range(w.between(1, 5)))
    return f"""local function {take}(first, ...) {use} say(select('#', ...), a, b, c) {w.statement(inner, 1)} return {give} end
say({take}({arguments})) say(({take}({arguments}))) say({take}({arguments}), 'end') say({take}())
say(select('#', {take}({arguments})), {take}({take}({arguments})))"""


def results_cut_to_one(w: Statements, scope: Scope) -> str:
    multi = w.fresh("multi")
    return f"""local function {multi}(...) return {w.several(scope.function(has_varargs=True), 1)}, 'last' end
say(({multi}(1)), {multi}(2)) say({multi}() and {multi}(), ({multi}())) say(({{ {multi}(), {multi}() }})[1])
local one = {multi}() local two, three = {multi}() local four, five = ({multi}()) say(one, two, three, four, five)
say(not {multi}(), #{{ ({multi}()) }} <= 1, kind_of({multi}()) == kind_of({multi}()), `x{{kind_of({multi}())}}`)
for index, value in ipairs({{ {multi}() }}) do say(index, value) end
say((if {multi}() then {multi}() else {multi}()))"""


def arguments_in_order(w: Statements, scope: Scope) -> str:
    ids = [w.number_for() for _ in range(8)]
    return f"""local target = {{ call = function(self, ...) return select('#', ...), ... end, deeper = {{}} }}
target.deeper.call = target.call
say(t({ids[0]}, target).call(t({ids[1]}, {w.value("any", scope, 1)}), t({ids[2]}, 2), t({ids[3]}, nil, 3)))
say(t({ids[4]}, target):call(t({ids[5]}, 1), (t({ids[6]}, 2, 3)), t({ids[7]}, 4, 5)))
say(target.deeper:call(t({ids[0]}, 'a')), target['call'](t({ids[1]}, target), t({ids[2]}, 'b')))
local function chain(...) say(...) return function(...) say(...) return chain end end
chain(1)(2){w.pick("'three'", "{ 4 }", "(5, nil)", "[[six]]")}"""


def operators_in_order(w: Statements, scope: Scope) -> str:
    ids = [w.number_for() for _ in range(4)]
    operators = [w.pick("+", "-", "*", "/", "%", "//", "^", "..", "<", "<=", ">", ">=", "==", "~=") for _ in range(2)]
    value = lambda: w.pick("1", "2", "3.5", "-4", "10", "'7'" if not w.portable else "7")  # noqa: E731 - twice below
    return f"""try(function(...) return t({ids[0]}, {value()}) {operators[0]} t({ids[1]}, {value()}) end)
try(function(...) return t({ids[2]}, {w.value("any", scope, 1)}) {w.pick("and", "or")} t({ids[3]}, {w.value("any", scope, 1)}) {w.pick("and", "or")} 5 end)
try(function(...) return (t({ids[1]}, {value()})) {operators[1]} -t({ids[2]}, {value()}) end)
try(function() local a, b = {value()}, {value()} return a + b * a - b / a, -a ^ 2, (a .. 1) .. (b .. 2), a < b == (b > a), not a == b end)
try(function() return 2 ^ 3 ^ 2, -2 ^ 2, 1 .. 2 == '12', 7 // 2 * 2 + 7 % 2, 'a' .. 'b' .. 'c' == 'abc' and 1 or 2 end)"""


def assignments_with_aliases(w: Statements, scope: Scope) -> str:
    ids = [w.number_for() for _ in range(6)]
    several = w.pick(
        "a, b, c = c, a, b",
        "a, b = b, a",
        "a, b, c = pair_of(a)",
        "a, b, c = (pair_of(b)), a",
        "a, b = a and b, b or a, say('extra')",
        "c, a = { a }, b",
    )
    return f"""local a, b, c = {w.value("number", scope, 1)}, {w.value("any", scope, 1)}, {w.value("any", scope, 1)}
{several} say(a, b, c)
local i, list = 1, {{ 10, 20, 30 }}
i, list[i] = i + 1, 99 say(i, list)
list[i], i = i, list[i] say(i, list)
list[1], list[2], list[3] = list[3], list[1], list[2] say(list)
local holder = {{ list = list }}
t({ids[0]}, holder).list[t({ids[1]}, 1)], t({ids[2]}, list)[t({ids[3]}, 2)] = t({ids[4]}, 'p'), t({ids[5]}, 'q', 'r') say(list)
local p, q, r = (function() return 1, nil, 3 end)() say(p, q, r)
local x = 1 local x, y = x + 1, x say(x, y) do local x = x + 5 say(x) end say(x)"""


def tail_calls_and_method_chains(w: Statements, scope: Scope) -> str:
    return f"""local stack = {{ items = {{}} }}
function stack:push(...) for index = 1, select('#', ...) do self.items[#self.items + 1] = (select(index, ...)) end return self end
function stack.size(self) return #self.items, self end
function stack:each(call) for index, item in ipairs(self.items) do if call(item, index) then return item end end return nil, 'none' end
say(stack:push(1, 2):push({w.value("number", scope, 1)}):size())
say(stack:each(function(item, index) say(item, index) return item == 2 end)) say(stack:each(function() end))
local function count_down(n, ...) if n <= 0 then return ... end return count_down(n - 1, n, ...) end
say(count_down({w.between(0, 8)})) say((count_down(3)))"""


SCENES = [
    varargs_with_nils,
    results_cut_to_one,
    arguments_in_order,
    operators_in_order,
    assignments_with_aliases,
    tail_calls_and_method_chains,
]

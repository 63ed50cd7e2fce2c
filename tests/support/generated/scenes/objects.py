"""Metatables: every event, the order in which operands are evaluated for it, classes and inheritance."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements


def traced_operators(w: Statements, scope: Scope) -> str:
    operator = w.pick("+", "-", "*", "/", "%", "^", "..", "//")
    ids = [w.number_for() for _ in range(4)]
    return f"""local meta = {{}}
for _, event in ipairs({{ 'add', 'sub', 'mul', 'div', 'mod', 'pow', 'concat', 'idiv' }}) do
meta['__' .. event] = function(a, b) say(event, kind_of(a), kind_of(b)) return {w.pick("event", "5", "a", "nil")}, 'cut' end end
meta.__unm = function(a, ...) say('unm', a.x) return a.x end
meta.__eq = function(a, b) say('eq', a.x, b.x) return a.x == b.x end
meta.__lt = function(a, b) say('lt') return {w.pick("true", "false", "nil", "1")} end
meta.__le = function(a, b) say('le') return {w.pick("true", "false", "nil", "1")} end
meta.__call = function(self, ...) say('call', select('#', ...)) return self.x, ... end
local function new(x) return setmetatable({{ x = x }}, meta) end
local one, two = new(1), new(2)
try(function(...) return t({ids[0]}, one) {operator} t({ids[1]}, {w.pick("two", "3", "'s'")}) end)
try(function() return {w.pick("2", "'s'", "two")} {operator} t({ids[2]}, one) {w.pick("", "", "..'tail'")} end)
say(-one, one == two, one ~= two, one == new(1), one < two, one >= two, one > two, one <= two, not (one < two))
say(one(1, nil), (two())) local sum = one sum {w.pick("+", "..", "-", "//")}= two say(sum)
if one == new(1) then say('same') end while one > two do say('once') break end"""


def index_and_newindex(w: Statements, scope: Scope) -> str:
    ids = [w.number_for() for _ in range(5)]
    operator = w.pick("+", "-", "*", "..", "//", "%")
    store = w.pick("rawset(self, key, value)", "rawset(self, key, nil)", "hidden[key] = value")
    return f"""local hidden = {{ x = 5, name = 'h' }}
local proxy = setmetatable({{}}, {{
__index = function(self, key) say('get', key) return hidden[key], 'cut' end,
__newindex = function(self, key, value) say('set', key, value) {store} end }})
say(proxy.x, proxy['name'], proxy.missing, proxy[1])
proxy.y = {w.value("any", scope, 1)} proxy[t({ids[0]}, 2)] = t({ids[1]}, 'two')
t({ids[2]}, proxy)[t({ids[3]}, 'x')] {operator}= t({ids[4]}, 3)
proxy.x {operator}= 2 say(hidden, rawget(proxy, 'x'))
local chained = setmetatable({{}}, {{ __index = setmetatable({{ far = 1 }}, {{ __index = proxy }}) }})
say(chained.far, chained.x, chained.near) chained.near = 1 say(rawget(chained, 'near'))
try(function() return proxy.missing.more end) try(function() return proxy:missing() end)"""


def classes_with_inheritance(w: Statements, scope: Scope) -> str:
    return f"""local Base = {{}} Base.__index = Base
function Base.new(name, ...) local self = setmetatable({{}}, Base) self.name = name self.count = select('#', ...) return self end
function Base:describe(suffix) return 'E:' .. self.name .. (suffix or '') .. self:kind() end
function Base:kind() return '/base' end
local Derived = setmetatable({{}}, {{ __index = Base }}) Derived.__index = Derived
function Derived.new(...) local self = setmetatable(Base.new(...), Derived) self.extra = {{ ... }} return self end
function Derived:kind() return '/derived' .. Base.kind(self) end
Derived.__tostring = function(self) return 'E:<' .. self.name .. '>' end
local one, two = Base.new('one', 1, nil), Derived.new('two', {w.value("any", scope, 1)}, 2)
say(one:describe(), two:describe('!'), one.count, two.count, tostring(two), two.missing)
say(getmetatable(two) == Derived, rawget(two, 'describe'), two.describe == one.describe)
one.kind = function(self, ...) return '/own' .. select('#', ...) end say(one:describe(), pcall(one.describe, two))
try(function() return one:nothing() end)"""


def luau_events(w: Statements, scope: Scope) -> str:
    return f"""local meta = {{ __len = function(self) say('len') return {w.between(0, 5)} end, __metatable = 'locked',
__iter = function(self) say('iter') return function(s, at) at = (at or 0) + 1 if at <= {w.between(0, 3)} then return at, s.x end end, self end,
__tostring = function(self) return 'E:text' end }}
local one = setmetatable({{ x = {w.value("number", scope, 1)} }}, meta)
say(#one, tostring(one), `{{one}}`, getmetatable(one), pcall(setmetatable, one, {{}}))
for index, value in one do say(index, value) {w.pick("", "break", "continue")} end
say(rawlen(one), rawequal(one, one), string.format('%s %*', tostring(one), one), next({{}}))
for key, value in setmetatable({{}}, {{ __iter = function() return next, {{ x = 1 }} end }}) do say(key, value) end"""


SCENES = [traced_operators, index_and_newindex, classes_with_inheritance, luau_events]

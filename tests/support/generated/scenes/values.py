"""Numbers and text at their edges."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements

_ODD = [
    "0",
    "-0",
    "0/0",
    "1/0",
    "-1/0",
    "0.1",
    "2^53",
    "-2^53",
    "2^53 + 1",
    "1e308",
    "5e-324",
    "3",
    "-3",
    "7.5",
    "-7.5",
    "0x7fffffff",
    "1e15",
    "123456789",
]


def odd_numbers(w: Statements, scope: Scope) -> str:
    a, b = w.one_of(_ODD), w.one_of(_ODD)
    return f"""local nan, zero, inf = 0/0, 0, 1/0 local minus = -zero
say(nan == nan, nan ~= nan, nan < 1, nan > 1, not (nan >= 1), 1/minus, 1/zero, minus == zero, -inf < inf, inf - inf ~= inf - inf)
local a, b = {a}, {b} say(a + b, a - b, a * b, a / b, a < b, a <= b, a > b, a >= b, a == b, a ~= b, -a)
say(a % b, a // b, ({a}) % ({b}), ({a}) // ({b}), 5 // -2, -5 // 2, 5 % -3, -5 % 3, 5.5 // 1, -0 // 1, 1 // 0, -1 // 0, 5 % inf, -5 % inf)
say(2^0.5, (-8)^(1/3) ~= (-8)^(1/3), 0^0, 10 // 0.3, 1e300 * 1e10, 2^1023 * 2, 0.1 + 0.2, 1/3, 100 / 10 * 0.1)
say(math.floor(-0.5), math.ceil(-0.5), math.max(1, 2.5), math.min(3, -1), math.huge, -math.huge, math.abs(minus), {w.value("number", scope, 2)})"""


def text_at_its_edges(w: Statements, scope: Scope) -> str:
    return f"""local parts = {{ 'plain', '\\0\\255', "q\\"uo'te", '\\\\', '\\n\\t\\r', [[ [x] ]], [==[]]]==], '\\u{{7FF}}', '\\x7f\\z
      joined' }}
for _, part in ipairs(parts) do say(part, #part, part:upper(), part .. '|' .. part:len()) end
local s = {w.value("string", scope, 2)} s ..= 'x' s ..= s .. 'y' say(s, #s, s == s .. '', s < s .. 'a', `<{{s}}>{{`in{{s}}`}}\\{{`, ``, `plain`)
say('a' < 'b', 'a' < 'B', '' < 'a', 'Z' <= 'a', 'a\\0b' < 'a\\0c', '10' < '9', 'x' == "x", 'x' ~= [[x]])"""


def luau_number_text(w: Statements, scope: Scope) -> str:
    numbers = ", ".join(f"tostring({w.one_of(_ODD)})" for _ in range(4))
    return f"""say({numbers}) say(`{{{w.one_of(_ODD)}}} {{1e21}} {{nil}} {{true}}`, {w.one_of(_ODD)} .. '', string.format('%d %5.1f %g %e %q %i', 3, 2.25, 1e20, 12345.678, 'a\\nb', -7))
say('10' + 5, '0x10' * 2, 10 .. 20, '3' ^ 2, -'2', pcall(function() return 'x' + 1 end)) say(string.format('%*|%*', {w.value("string", scope, 1)}, 1.5), tostring(1e15), 9007199254740993, 0xffffffffffffffff)"""


SCENES = [odd_numbers, text_at_its_edges, luau_number_text]

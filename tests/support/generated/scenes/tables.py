"""Table constructors and the library functions that work on tables."""

from __future__ import annotations

from support.generated.draw import Scope
from support.generated.statements import Statements


def constructors(w: Statements, scope: Scope) -> str:
    ids = [w.number_for() for _ in range(5)]
    inner = scope.function(has_varargs=True)
    return f"""local function build(...) return {{ t({ids[0]}, 1), x = t({ids[1]}, 2), [t({ids[2]}, 'name')] = t({ids[3]}, 'n'), {w.value("number", inner, 1)}, [10] = 'ten', t({ids[4]}, 3); ... }} end
local made = build(7, 8) say(made, made[10], made[3], made[4], made[5], made[6])
say(({{ build() , nil, build() }})[1].x, ({{ (build()) }})[2], #{{ 1, 2, pair_of(3) }}, #{{ pair_of(3), 4 }})
local nested = {{ {{ {{ x = 1 }} }}, item = {{ {w.value("any", scope, 1)}, {{ y = {w.value("number", scope, 1)} }} }} }} say(nested, nested[1][1].x, nested.item[2].y)
local long = {{ {", ".join(str(w.between(0, 99999)) for _ in range(w.between(10, 40)))} }} say(#long, long[#long], long[1])
say({{ x = 1, x = 2 }}, ({{ [false] = 1, [0.5] = 2 }})[0.5])"""


def library(w: Statements, scope: Scope) -> str:
    compare = w.pick("a < b", "a > b", "num(a) * 7 % 5 < num(b) * 7 % 5")
    return f"""local list = {{ 5, 2, 9, {w.between(0, 20)}, {w.between(0, 20)}, 7 }}
table.sort(list, function(a, b) return {compare} end) say(list)
table.insert(list, {w.value("number", scope, 1)}) table.insert(list, 1, 'first') say(table.remove(list), table.remove(list, 2), list, #list)
local words = {{ 'x', 'yy', 'z' }} say(table.concat(words, ', '), table.concat(words, '-', 2, 3), table.concat({{}}))
local text = ('a1b22c'):gsub('%d+', function(digits) return '<' .. digits .. '>' end) say(text)
say(('k=v'):match('(%w)=(%w)'), ('abc'):find('b', 1, true), ('x'):rep(3), ('hello'):byte(1, -1))
say((('a,b,c'):gsub(',', {{ [','] = ';' }})), ('%d'):format(12), ('A'):lower():upper(), #'four')
say(next({{ {w.value("number", scope, 1)} }}), rawequal(list, list), rawget(list, 1), select(-2, 1, 2, 3), tonumber('0x10'), tonumber('z', 36), tonumber('nope'))"""


def luau_library(w: Statements, scope: Scope) -> str:
    return f"""local list = table.create(3, {w.value("any", scope, 1)}) say(list, #list, table.find({{ 1, 2, 3 }}, 2), table.clone({{ 1, x = 2 }}), table.unpack({{ 1, nil, 3 }}, 1, 3))
local packed = table.pack({w.several(scope, 1)}) say(packed.n, packed)
say(table.isfrozen(table.freeze({{ 1 }})), pcall(function() local f = table.freeze({{ x = 1 }}) f.x = 2 end), table.move({{ 1, 2, 3 }}, 2, 3, 1))
say(string.split('a,b,,c', ','), ('x'):rep(2, '-'), math.round(2.5), math.sign(-3), math.clamp(9, 1, 5), bit32.band(12, 10), bit32.lshift(1, 4))
local memory = buffer.create(8) buffer.writeu32(memory, 0, {w.between(0, 2**32 - 1)}) buffer.writef32(memory, 4, 0.5) say(buffer.readu8(memory, 0), buffer.readi16(memory, 1), buffer.readf32(memory, 4), buffer.len(memory))
say(typeof(list), typeof(memory), typeof(1), string.pack('<I2', 513), {{ [1] = 'a', 'b' }}, {{ 'b', [1] = 'a' }}, math.fmod(-7, 3), tostring(1e15), tostring(-0), tostring(0.1), tostring(1e100), tostring(2^53), 1e15 .. '', 3 .. '')"""


SCENES = [constructors, library, luau_library]

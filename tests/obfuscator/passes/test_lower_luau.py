"""What only Luau has, written for plain Lua: the original under Luau against the lowered under every interpreter."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from support.luau import run_lua, run_lua_batch, run_luau, run_luau_batch
from support.protecting import faults, protected

INTERPRETERS = ["lua51", "lua54", "luajit21"]

TRACE = "local function t(id, ...) print(id, type(...) == 'table' or ...) return ... end\n"
CASES = {
    "compound assignment to variables": "local a, s = 1, 'x' a += 2 a *= 3 a -= 1 a /= 2 a ^= 2 a %= 7 s ..= a > 1 and 'y' or 'z' g = 5 g += a > 100 and 1 or 2 print(a == 2, s, g)",
    "compound assignment reads the variable after the value": "local a = 1 local function f() a = 10 return 1 end a += f() print(a) local u = 1 local function g() u = 5 return u end (function() u += g() end)() print(u)",
    "compound assignment evaluates object and key once": "local o = { x = 1, [2] = 3 } t(1, o).x += t(2, 5) t(3, o)[t(4, 2)] *= t(5, 2) print(o.x, o[2]) o.y = 'a' t(6, o).y ..= 'b' .. 'c' print(o.y)",
    "compound assignment reads a changed local anew": "local o, p, k = { x = 1, y = 5 }, { x = 10, y = 50 }, 'x' local q = o local function f() o = p k = 'y' return 1 end o[k] += f() print(q.x, q.y, p.x, p.y)",
    "compound assignment through metamethods": "local log = setmetatable({}, { __index = function(_, k) print('get', k) return 1 end, __newindex = function(_, k, v) print('set', k, v) end }) log.a += t(1, 2) log[t(2, 'b')] -= 1",
    "compound assignment to a global's field": "g = { n = 1 } g.n += 1 g['n'] += 1 print(g.n) gg = { g } gg[1].n -= 5 print(g.n)",
    "continue in every loop": "for i = 1, 5 do if i == 2 then continue end print('for', i) end for _, v in ipairs({ 1, 2, 3 }) do if v == 2 then continue end print(v) end local n = 0 while n < 4 do n = n + 1 if n == 3 then continue end print('while', n) end repeat n = n - 1 if n == 2 then continue end print('repeat', n) until n <= 0",
    "continue beside break": "for i = 1, 9 do if i == 2 then continue elseif i == 5 then break end do if i == 3 then continue end end print(i) end for i = 1, 3 do for j = 1, 3 do if j == 2 then break end if i == 2 then continue end print(i, j) end if i == 2 then break end end",
    "continue beside return": "local function find(list) for i, v in ipairs(list) do if v < 0 then continue end if v > 5 then return i, v end if v == 0 then break end end return 'none' end print(find({ -1, 2, 9 })) print(find({ -1, 0, 9 }))",
    "continue last in a body": "for i = 1, 2 do print(i) continue end while true do if t(1, true) then break end continue end",
    "continue in repeat with a condition on the body's locals": "local n = 0 repeat n = n + 1 local done = n > 3 local other = function() return done end if n == 2 then continue end local late = 1 print(n, done, late) until done and other()",
    "continue in repeat with break": "local n = 0 repeat n = n + 1 local odd = n % 2 == 1 if odd then continue end if n > 5 then break end print(n) until n > 10",
    "continue inside closures": "local fs = {} for i = 1, 4 do if i == 3 then continue end fs[#fs + 1] = function() for j = 1, 3 do if j == i then continue end print(i, j) end end end for _, f in ipairs(fs) do f() end",
    "if-expressions with false values": "local c = ... local a = if true then false else 1 local b = if false then 1 elseif nil then 2 else nil print(a, b, (if true then nil else 5)) print(if 1 then false else true, if nil then 1 else false)",
    "if-expressions cut to one value": "local function two() return 1, 2 end print((if true then two() else two())) print(if false then 0 else two(), 'end') local x, y = if true then two() else 0 print(x, y) local function f() return if true then two() else 3 end print(f())",
    "if-expressions evaluate what they must": "print(if t(1, false) then t(2, 'a') elseif t(3, nil) then t(4, 'b') else t(5, 'c')) local v v = if t(6, 1) then t(7, false) else t(8, 1) print(v)",
    "if-expressions with arguments": "local function f(...) return if select('#', ...) > 1 then ... else select('#', ...) end print(f(7, 8), f(9), f()) local function g(...) local n = 1 + (if ... then (...) else 0) return n end print(g(4), g())",
    "if-expressions beside a variable of the same name": "local x = false local x = if x then 1 else x print(x) local y = 5 do local y = if y == 5 then function() return y end else nil print(y()) end",
    "if-expressions read a local after the call that changes it": "local x = 1 local function f() x = 10 return 1 end print(if x == 1 then x + f() else 0) x = 1 local t = { x } print(1 + (if x == 1 then x * f() else nil), if f() then x else false, x) x = 1 t[if f() then x else nil] = if x > 1 then x - f() else false print(t[10]) x = 1 while if x < 5 then x + f() == 11 else false do end print(x, if not f() then nil else (if x then x + f() else nil))",
    "if-expressions in every position": "local function f(...) return if ... then ... else nil end local t = { if f() then 1 else nil, k = if f(1) then false else 1, [if f() then 1 else 'k2'] = 2 } print(#t, t[1], t.k, t.k2) print((if f(1) then print else nil) == print, -(if f() then nil else 5), not if f(1) then false else 1, (if f(1) then t else nil).k) for i = if f() then nil else 1, if f(1) then 2 else nil do print(i) end repeat local done = if f(1) then true else nil until if done then done else nil if if f(1) then false else true then print('no') elseif if f() then nil else true then print('yes') end; (if f(1) then print else error)('called'); (if f(1) then t else nil).k = if f() then 1 else nil print(t.k) local n = 1 n += if f() then nil else 2 print(n) for k in if f(1) then { 7 } else nil do print(k) end print((if f(1) then 'text' else nil):upper(), `{if f() then nil else 8}`)",
    "if-expressions call at the level they stand at": "local function level() error('here', 2) end local function f(c) local v = 1 + (if c then nil else level()) return v end print(select('#', pcall(f, nil))) local co = coroutine.wrap(function(c) return if c then coroutine.yield('in') else nil, 2 end) print(co(true)) print(co(false))",
    "other operations read a local when Luau does": "local x, t = 1, { 1, 2, 3 } local function f() x += 1 return x end print(x + f(), x - f(), f() + x, x < f(), x == f(), x .. f(), t[x % 3 + 1], (x) * f()) x = 1 x += f() print(x) x = 1 x //= f() print(x) x = 2 t[x] += f() print(t[2], t[3], x) print(`{x}{f()}{x}`, x // f(), f() // x, ({ x, f(), x })[3]) for i = 1, 3 do local y = i local function g() y += 10 return y end if i == 2 then continue end print(y + g(), `{y}{g()}`, y) end",
    "iteration over what cannot be": "local function said(f) local _, e = pcall(f) print((e:gsub('^.-:%d+: ', ''))) end said(function() for _ in nil do end end) said(function() local n = 5 for _ in n do end end) said(function() for _ in 'text' do end end) said(function() for _ in true, {} do end end)",
    "if-expressions in each other": "for i = 1, 4 do print(if i == 1 then (if i > 0 then false else 1) elseif i == 2 then if i == 2 then nil else 0 else if i == 3 then i .. '' else 'last') end",
    "interpolated text": "local n = 5 print(`plain`, `a{n}b`, `{n}{n}`, ``, `{'x'}`, `100% {n}%d \\{n}`, `{`in{n}ner`}`) print(`{nil} {true} {false}`)",
    "interpolated text evaluates before it converts": "local m = { __tostring = function(self) print('text', self.n) return 'obj' .. self.n end } local function new(n) return setmetatable({ n = n }, m) end print(`{t(1, new(1)) and new(1)} {t(2, 2) and new(2)}!`) local function two() return 'a', 'b' end print(`<{two()}>`, `{(two())}`)",
    "floor division": "local z, inf = 0.0, math.huge print(7 // 2, -7 // 2, 7 // -2, 5.5 // 2, 1 // inf == 0, 1 / (-1 // inf) < 0) print(1 / (-z // 1) < 0, 1 // z == inf, -1 // z == -inf, (z // z) ~= (z // z), inf // 1 == inf, (inf // inf) ~= (inf // inf)) local a = 17 a //= 5 print(a, '9' // 2, 2^53 // 3 == 3002399751580330)",
    "floor division by metamethod": "local m = { __idiv = function(a, b) print(type(a), type(b)) return 'idiv', 2 end } local o = setmetatable({ x = 9 }, m) print(o // 1, (1 // o), (o // o)) o.x //= 2 print(o.x) print(pcall(function() return {} // 1 end) == false)",
    "iteration over values": "for k, v in { 10, 20, 30 } do print(k, v) end for k, v in { x = 1 } do print(k, v) end for k in {} do print(k) end local list = { 'a' } for i, v in list do print(i, v) end for i, v in pairs(list) do print(i, v) end for i, v in next, list do print(i, v) end",
    "iteration by __iter and __call": "local o = setmetatable({}, { __iter = function(self) print('iter') return function(s, i) i = (i or 0) + 1 if i < 3 then return i, 'v' .. i end end, self end }) for k, v in o do print(k, v) end local c = setmetatable({}, { __call = function(_, s, i) i = (i or 0) + 1 if i < 3 then return i, s end end }) for k, v in c, 'state' do print(k, v) end",
    "iteration by functions": "local function each(n) return function(s, i) if i < s then return i + 1 end end, n, 0 end for i in each(2) do print(i) end local f = each for i in f(1) do print(i) end for a, b in string.gmatch('k=v', '(%w)=(%w)') do print(a, b) end for a in (function() return nil end) do print(a) end",
    "number literals": "print(0b101, 1_000, 0xFF, 0x_F, 1e2 == 100, .5, 0b1111_0000, 3 .. '')",
    "string escapes": "print(#'\\u{e9}', 'a\\z   b', '\\x41\\65', #'\\0\\255', '\\u{48}i', `\\u{49}{1}`, 'tab\\tend', [==[raw]] ]==])",
    "constants, types and attributes": "const limit: number = 3 type T = { x: number } const function f<T>(x: T): T return x end local function g(x: T?) return (x :: any) end print(limit, f(4), g(nil)) @native local function h() return 1 end print(h())",
    "names that other Luas reserve": "local goto = 1 local t = { goto = 2 } t.goto = t.goto + goto print(goto, t.goto, t['goto'])",
    "negative zero": "local a, b = 0, -0 print(1 / a > 0, 1 / b < 0, 1 / -0.0 < 0)",
    "coroutines yielding inside": "local co = coroutine.wrap(function(...) for i = 1, 3 do if i == 2 then continue end local v = if i > 1 then coroutine.yield(i) else coroutine.yield('first', `{i}`) print(v) end return 'end' end) print(co()) print(co('x')) print(co(false))",
}


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    results = run_luau_batch([TRACE + source for source in CASES.values()])
    assert [(name, one) for name, one in zip(CASES, results, strict=True) if one.error or one.compile_error] == []
    return dict(zip(CASES, (one.output for one in results), strict=True))


@pytest.mark.parametrize("profile", PROFILES)
def test_each_construct_does_the_same_lowered(expected: dict[str, str], profile: str) -> None:
    texts = [protected(TRACE + source, profile, 3, target="lua51") for source in CASES.values()]
    results = {interpreter: run_lua_batch(interpreter, texts) for interpreter in INTERPRETERS}
    for interpreter, outcomes in {**results, "luau": run_luau_batch(texts)}.items():
        seen = [one.error or one.compile_error or one.output for one in outcomes]
        assert dict(zip(CASES, seen, strict=True)) == expected, interpreter


def test_nothing_is_lowered_for_luau() -> None:
    source = "local a=1 a+=2 for b=1,2 do if a then continue end end return`{a}`,if a then 1 else 2,7//2"
    assert protected(source, "minify", target="luau") == protected(source, "minify")
    assert "continue" in protected(source, "minify", target="luau")


def test_plain_lua_is_left_as_it_is() -> None:
    source = "local a={}for b,c in pairs(a)do a[b]=c+1 end for b,c in next,a do print(b,c)end return a"
    assert protected(source, "minify", target="lua51") == protected(source, "minify", target="luau")


def test_helpers_are_there_only_when_needed() -> None:
    assert protected("x = x + 1", "minify", target="lua51") == "x=x+1"
    assert "__iter" not in protected("x = y // 2", "minify", target="lua51")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("\nlocal x = 5i", "2: An integer literal cannot be written in Lua 5.1; choose the target 'luau'"),
        ("\nexport local x = 1", "2: 'export' cannot be written in Lua 5.1; choose the target 'luau'"),
        ("\n\nexport function f() end", "3: 'export' cannot be written in Lua 5.1; choose the target 'luau'"),
    ],
)
def test_what_has_no_counterpart_is_refused_with_its_line(source: str, fault: str) -> None:
    assert faults(source, target="lua51") == [fault]
    assert protected(source, target="luau")


def capturing(count: int) -> str:
    names = [f"v{number}" for number in range(count)]
    return f"local {', '.join(names)} = {', '.join(map(str, range(count)))}\nprint((function() return {' + '.join(names)} end)())"


def test_a_function_that_captures_more_than_plain_lua_allows_is_refused() -> None:
    assert run_lua("lua51", protected(capturing(60), target="lua51")).output == "1770"
    assert faults(capturing(61), target="lua51") == [
        "2: This function captures 61 variables, and Lua 5.1 allows 60; choose the target 'luau' or split it"
    ]


def test_a_helper_counts_as_captured() -> None:
    source = capturing(60).replace("v0 +", "v0 // 1 +")
    assert faults(source, target="lua51")[0].startswith("2: This function captures 61 variables")


def test_constants_that_luau_does_not_count_as_locals_are_counted() -> None:
    source = "\n".join(f"local c{number} = {number}" for number in range(201)) + "\nprint(c200)"
    assert run_luau(protected(source, target="luau")).output == "200"
    assert faults(source, target="lua51") == [
        "1: This function has 201 local variables at once, and Lua 5.1 allows 200; choose the target 'luau' or split it"
    ]


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_nesting_is_refused_before_plain_lua_fails_on_it(interpreter: str) -> None:
    def nested(levels: int) -> str:
        return f"print({'(' * levels}1{' + 1)' * levels})"

    def joined(operands: int) -> str:
        return "local a = 'x' print(#(" + " .. ".join(["a"] * operands) + "))"

    def chained(links: int) -> str:
        return "local o = {} function o:m() return self end print(o" + ":m()" * links + " == o)"

    assert run_lua(interpreter, protected(nested(180), "minify", target="lua51")).output == "181"
    assert run_lua(interpreter, protected(joined(180), "minify", target="lua51")).output == "180"
    assert run_lua(interpreter, protected(chained(500), "minify", target="lua51")).output == "true"
    message = "1: Too many levels of nesting for Lua 5.1, which allows 200; choose the target 'luau' or split this"
    assert faults(nested(220), "minify", target="lua51") == [message]
    assert faults(joined(220), "minify", target="lua51") == [message]

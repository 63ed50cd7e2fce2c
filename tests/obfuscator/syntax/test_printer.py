from __future__ import annotations

import pytest

from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk, print_with_lines
from moonlatch.obfuscator.target import Target
from support.protecting import ALL_PROGRAMS


def printed(source: str, target: Target = Target.LUAU) -> str:
    return print_chunk(parse(source.encode("latin-1")), target)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("local a , b = 1 , 2", "local a,b=1,2"),
        ("print ( 'x' )", 'print"x"'),
        ("f { 1 }", "f{1}"),
        ("f(g())", "f(g())"),
        ("f((g()))", "f((g()))"),
        ("f((g()), 1)", "f(g(),1)"),
        ("return (...)", "return(...)"),
        ("return (...), ...", "return...,..."),
        ("return { (f()) }", "return{(f())}"),
        ("x = (1 + 2) * 3", "x=(1+2)*3"),
        ("x = (1 * 2) + 3", "x=1*2+3"),
        ("x = a - (b - c)", "x=a-(b-c)"),
        ("x = (a - b) - c", "x=a-b-c"),
        ("x = a .. (b .. c)", "x=a..b..c"),
        ("x = (a .. b) .. c", "x=(a..b)..c"),
        ("x = 2 ^ (3 ^ 2)", "x=2^3^2"),
        ("x = (2 ^ 3) ^ 2", "x=(2^3)^2"),
        ("x = (-2) ^ 2", "x=(-2)^2"),
        ("x = -(2 ^ 2)", "x=-2^2"),
        ("x = 2 ^ -3", "x=2^-3"),
        ("x = -(-y)", "x=- -y"),
        ("x = a - (-b)", "x=a- -b"),
        ("x = not (a == b)", "x=not(a==b)"),
        ("x = (not a) == b", "x=not a==b"),
        ("x = (a or b) and c", "x=(a or b)and c"),
        ("x = a or (b and c)", "x=a or b and c"),
        ("x = 1 .. 2", "x=1 ..2"),
        ("x = a .. .5", "x=a.. .5"),
        ("x = ('a'):rep(3)", 'x=("a"):rep(3)'),
        ("x = ({}).y", "x=({}).y"),
        ("(function() end)()", "(function()end)()"),
        ("f() ; (g)()", "f()g()"),
        ("f() ; (g or h)()", "f();(g or h)()"),
        ("do end ; (g or h)()", "do end(g or h)()"),
        ("local x ; (g or h)()", "local x;(g or h)()"),
        ("t['name'] = t['two words']", 't.name=t["two words"]'),
        ("t = { ['a'] = 1, ['end'] = 2, [3] = 4, b = 5; 6 }", 't={a=1,["end"]=2,[3]=4,b=5,6}'),
        ("t[ [=[x]=] ] = 1", "t.x=1"),
        ("if a then elseif b then else end", "if a then elseif b then else end"),
        ("for i = 1, 10, 2 do end", "for i=1,10,2 do end"),
        ("for k, v in pairs(t) do end", "for k,v in pairs(t)do end"),
        ("repeat local x until x", "repeat local x until x"),
        ("while true do break end", "while true do break end"),
        ("function a.b:c(d, ...) return self end", "function a.b:c(d,...)return self end"),
        ("x += 1 y ..= 'z'", 'x+=1 y..="z"'),
        ("x = if a then b elseif c then d else e", "x=if a then b elseif c then d else e"),
        ("x = (if a then b else c) + 1", "x=(if a then b else c)+1"),
        ("x = `a{b}c{ {1} }\\{`", "x=`a{b}c{ {1}}\\{`"),
        ("local x: number = f() :: any", "local x=(f())"),
        ("@native local function f() end", "@native local function f()end"),
        ("const x = 1", "local x=1"),
        ("return a and-1, 0xff, 1e3", "return a and-1,255,1e3"),
        ("x = 5 y = 6", "x=5 y=6"),
        ("x = 'a' y = {} z = 1", 'x="a"y={}z=1'),
    ],
)
def test_the_text_is_the_tightest_that_means_the_same(source: str, text: str) -> None:
    assert printed(source) == text


def test_comments_vanish_and_everything_is_on_one_line() -> None:
    assert printed("-- one\nlocal a = 1 --[[ two ]]\n\n--[==[ three\n]==] return a") == "local a=1 return a"


def test_plain_lua_gets_no_field_that_is_a_keyword_there() -> None:
    assert printed("t.goto = { goto = 1 }", Target.LUA51) == 't["goto"]={["goto"]=1}'


@pytest.mark.parametrize("program", ALL_PROGRAMS, ids=lambda program: program.name)
def test_printing_what_was_printed_changes_nothing(program: object) -> None:
    once = printed(program.read_text("latin-1"))
    assert once.isascii()
    assert "\n" not in once
    assert printed(once) == once


@pytest.mark.parametrize("program", ALL_PROGRAMS, ids=lambda program: program.name)
def test_printing_lines_that_were_printed_changes_nothing(program: object) -> None:
    once, lines = print_with_lines(parse(program.read_bytes()), Target.LUAU)
    again, numbers = print_with_lines(parse(once.encode("ascii")), Target.LUAU)
    assert again == once
    assert numbers == list(range(1, len(lines) + 1))


def test_a_call_without_parentheses_stays_on_the_line_that_it_had() -> None:
    text, lines = print_with_lines(parse(b"f(\n'x'\n)\nf(\n{\n1})"), Target.LUAU)
    assert (text, lines) == ('f"x"\nf{\n1}', [1, 4, 6])


def test_what_stands_on_lines_of_its_own_does_so_in_the_text() -> None:
    source = """
local a = f(1,

    2) + b
    .c
    :d() -- one
    "x" g {
        k = 1, [2] = 3, 4,
    } ; (h)(`{1
    }`)
"""
    text, lines = print_with_lines(parse(source.encode()), Target.LUAU)
    assert text.split("\n") == ["local a=f(1,", "2)+b", ".c", ':d()"x"', "g{", "k=1,[2]=3,4}", "h(`{1}`)"]
    assert lines == [2, 4, 5, 6, 7, 8, 9]

"""Which functions a script probably runs often, by their names; what only runs now and then must stay out."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.analysis.hot_functions import hot_functions
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.syntax.parser import parse


def hot_lines(source: str) -> list[int]:
    """The lines on which the hot functions begin."""
    chunk = parse(source.encode())
    return sorted({function.line for function in hot_functions(chunk, resolve(chunk), set())})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # What a loop calls, and what that calls.
        (
            "local function f() end\nlocal function g() f() end\nlocal function h() end\nfor i = 1, 9 do g() end h()",
            [1, 2],
        ),
        ("local function f() return true end\nwhile f() do end", [1]),
        ("local function f() return true end\nrepeat until f()", [1]),
        ("function f() end\nfunction g() end\nfor i = 1, 9 do f() end g()", [1]),
        ("local f = function() end\nlocal g = f\nfor i = 1, 9 do g() end", [1]),
        # The iterator of a loop is called for every round; what makes it is not.
        ("local function make()\nreturn function() end end\nfor x in make() do end", [2]),
        ("local function next_one() end\nfor x in next_one do end", [1]),
        # The bounds of a loop are asked for once.
        ("local function f() return 9 end\nfor i = 1, f() do end", []),
        # What calls itself, also by others.
        ("local function f(n) return n < 2 and n or f(n - 1) end\nf(9)", [1]),
        ("local g\nlocal function f(n) return g(n) end\nfunction g(n) return f(n - 1) end\nf(9)", [2, 3]),
        # Methods by name; those of a local that is known by that local.
        ("local A = {}\nfunction A:f() end\nfunction A:g() end\nfor _, a in t do a:f() end", [2]),
        ("local A, B = {}, {}\nfunction A.new() end\nfunction B.new() end\nfor i = 1, 9 do A.new() end", [2]),
        ("local A = {}\nfunction A:f() self:g() end\nfunction A:g() end\nfor i = 1, 9 do A:f() end", [2, 3]),
        ("local A, B = {}, {}\nfunction A.new() end\nfunction B.new() return A.new() end\nB.new()", []),
        ("local t = {\nf = function() end,\ng = function() end }\nfor i = 1, 9 do t.f() end", [2]),
        ("local t = {}\nt['+'] = function() end\nfor i = 1, 9 do t['+']() end", [2]),
        ("local t = { [1] =\nfunction() end }\nfor i = 1, 9 do t[i]() end", [2]),
        # Metamethods, which operators call, and closures that are handed back.
        ("local A = {}\nA.__add = function() end\nA.__tostring = function() end", [2]),
        ("local function make()\nreturn function() end end\nlocal f = make()", [2]),
        # Functions handed to one that calls them again and again.
        ("table.sort(t,\nfunction() end)\nevent:Connect(\nfunction() end)\npcall(\nfunction() end)", [2]),
        ("local sort = table.sort\nsort(t,\nfunction() end)", [3]),
        ("local function less() end\ntable.sort(t, less)", [1]),
        ("local function each(t, f)\nfor _, x in t do f(x) end end\neach(t,\nfunction() end)", [4]),
        ("local function on(e, f)\ne:Connect(f) end\non(e,\nfunction() end)", []),
    ],
)
def test_functions_are_hot_when_something_repeats_them(source: str, expected: list[int]) -> None:
    assert hot_lines(source) == expected


@pytest.mark.parametrize("wait", ["wait()", "task.wait(1)", "event:Wait()", "Citizen.Wait(0)"])
def test_a_loop_that_waits_for_the_host_makes_nothing_hot_by_itself(wait: str) -> None:
    source = f"local function f() end\nlocal function g() end\nwhile true do {wait} f() for i = 1, 9 do g() end end"
    assert hot_lines(source) == [2]

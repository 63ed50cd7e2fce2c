from __future__ import annotations

import pytest

from support.protecting import protected_with

KEYS = {"drop_types"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("type A = number\nexport type B<T> = { T }\nreturn 1", "return 1"),
        ("type function f(t) return t end return 1", "return 1"),
        ("local x: number, y: string? = 1", "local x,y=1"),
        ("local function f<T>(a: T, ...: T): (T, ...T) return a, ... end", "local function f(a,...)return a,...end"),
        ("return (x :: any).y", "return x.y"),
        ("return f() :: any", "return(f())"),
        ("return f() :: any, 1", "return f(),1"),
        ("return ... :: any", "return(...)"),
        ("return (f() :: any) :: number", "return(f())"),
        ("g(f() :: any)", "g((f()))"),
        ("@[deprecated] @native function f() end", "@native function f()end"),
        ("for i: number, v: string in pairs(t) do end", "for i,v in pairs(t)do end"),
    ],
)
def test_types_vanish_and_the_number_of_values_stays(source: str, text: str) -> None:
    assert protected_with(source, KEYS) == text

from __future__ import annotations

import re

import pytest

from support.luau import run_luau
from support.protecting import protected, protected_with

KEYS = {"rename_locals"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("local first, second = 1, 2 return second", "local a,a=1,2 return a"),
        ("local x = a return x", "local b=a return b"),
        ("local one = 1 print(one) local two = 2 print(two)", "local a=1 print(a)local a=2 print(a)"),
        ("local one = 1 local two = 2 return one, two", "local a=1 local b=2 return a,b"),
        ("local x = 1 return function(y) return y end, x", "local a=1 return function(a)return a end,a"),
        ("local x = 1 return function(y) return y + x end", "local a=1 return function(b)return b+a end"),
        ("local x = x x = x", "local a=x a=a"),
        ("function t:m() return self end", "function t.m(a)return a end"),
        ("function t:m(v) return v end", "function t:m(a)return a end"),
        ("for key, value in pairs(t) do print(key, value) end", "for a,b in pairs(t)do print(a,b)end"),
        ("repeat local done = f() until done", "repeat local a=f()until a"),
        ("local function fact(n) return n * fact(n - 1) end", "local function a(b)return b*a(b-1)end"),
        ("export local answer = 42", "export local answer=42"),
    ],
)
def test_names_are_short_and_reused(source: str, text: str) -> None:
    assert protected(source, "minify") == text


def test_the_most_used_variable_gets_the_shortest_name() -> None:
    rare = " ".join(f"local rare{i} = {i}" for i in range(60))
    uses = "print(" + ", ".join([*(f"rare{i}" for i in range(60)), *["often"] * 3]) + ")"
    text = protected(f"{rare} local often = 1 {uses}", "minify")
    assert text.endswith(",a,a,a)")


def test_a_local_never_takes_the_name_of_a_global_in_sight() -> None:
    source = "local one, two = 1, 2 local function f(x) a = x return b, one end return f, two, c"
    names = set(re.findall(r"local (\w),(\w)", protected(source, "minify"))[0])
    assert names.isdisjoint({"a", "b", "c"})


def test_more_variables_than_letters_get_two_letters_and_no_keyword() -> None:
    blocks = " ".join(f"local v{i} = {i}" for i in range(190))
    sum_ = " + ".join(f"v{i}" for i in range(190))
    source = f"local function f() {blocks} return {sum_} end print(f())"
    assert run_luau(protected(source, "minify")) == run_luau(source)


def test_the_seed_orders_the_names_of_light_and_not_of_minify() -> None:
    source = "local one, two, three = 1, 2, 3 return one + two + three"
    assert protected_with(source, KEYS, 1) != protected_with(source, KEYS, 2)
    assert protected(source, "minify", 1) == protected(source, "minify", 2)


def test_minifying_twice_changes_nothing() -> None:
    source = "local function outer(alpha, beta) local gamma = alpha for i = 1, beta do gamma = gamma + i end return gamma end return outer"
    once = protected(source, "minify")
    assert protected(once, "minify") == once

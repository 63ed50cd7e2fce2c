from __future__ import annotations

import pytest

from support.luau import run_luau, run_luau_batch
from support.protecting import protected_with

KEYS = {"merge_functions"}
PAIR = "local function f(x) return x + 1 end local function g(x, y) return x * y end "


def functions(source: str) -> int:
    return protected_with(source, KEYS).count("function")


def test_neighbours_become_one_function_with_a_selector() -> None:
    source = PAIR + "print(f(1), f(2), g(3, 4))"
    assert functions(source) == 1
    assert run_luau(protected_with(source, KEYS)) == run_luau(source)


@pytest.mark.parametrize(
    "use",
    [
        "return f, g(1, 2)",
        "return pcall(f, 1), g(1, 2)",
        "local h = { f } return g(1, 2), h",
        "f = nil return g(1, 2)",
        "function g() end return f(1)",
    ],
)
def test_a_function_that_is_handed_around_or_assigned_stays_itself(use: str) -> None:
    assert functions(PAIR + use) == (PAIR + use).count("function")


@pytest.mark.parametrize(
    "other",
    ["local function g(...) return ... end", "@native local function g() end", "local x = 1 local function g() end"],
)
def test_functions_with_varargs_attributes_or_something_between_stay_apart(other: str) -> None:
    source = f"local function f(x) return x + 1 end {other} return f(1), g(2)"
    assert functions(source) == source.count("function")


def test_missing_and_surplus_arguments_mean_the_same() -> None:
    source = (
        "local function f(x, y) return x, y end local function g() return 'g' end local function h(a, b, c) return c, b, a end "
        "local function many() return 1, 2, 3, 4 end "
        "print(f()) print(f(1)) print(f(many())) print(g(many())) print(h(many())) print(h((many()))) print((f(many())))"
    )
    results = run_luau_batch([protected_with(source, KEYS, seed) for seed in range(6)])
    assert set(results) == {run_luau(source)}


def test_merged_functions_call_each_other_and_themselves() -> None:
    source = (
        "local function fact(n) if n < 2 then return 1 end return n * fact(n - 1) end "
        "local function sum(n) local t = 0 for i = 1, n do t = t + fact(i) end return t end "
        "local function none() end print(fact(10), sum(6), none(), select('#', none()))"
    )
    assert functions(source) == 1
    results = run_luau_batch([protected_with(source, KEYS, seed) for seed in range(6)])
    assert set(results) == {run_luau(source)}


def test_merged_functions_still_recurse_as_deeply() -> None:
    source = (
        "local function down(n) if n == 0 then return 0 end return 1 + down(n - 1) end local function f(a) return a end "
        "print(down(15000), f(1)) print(pcall(down, 1e6) == false)"
    )
    assert run_luau(protected_with(source, KEYS)).output.splitlines()[0] == "15000\t1"


def test_methods_and_fields_of_the_same_name_are_none_of_its_business() -> None:
    source = PAIR + "local t = { f = 1, g = function() return 2 end } print(t.f, t.g(), t:g(), f(1), g(2, 3))"
    assert run_luau(protected_with(source, KEYS)) == run_luau(source)


def test_small_functions_that_loops_call_stay_apart_because_luau_copies_them_into_the_loops() -> None:
    source = "local function a(x) return x + 1 end local function b(x) return x * 2 end"
    assert functions(f"{source} print(a(1), b(2))") == 1
    assert functions(f"{source} for i = 1, 9 do print(a(i), b(i)) end") == 2

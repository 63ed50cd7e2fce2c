from __future__ import annotations

import pytest

from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.preparation.dead_branches import remove_dead_branches
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk


def pruned(source: str) -> str:
    chunk = parse(source)
    resolve(chunk)
    remove_dead_branches(chunk, {"K"})
    return print_chunk(chunk)


@pytest.mark.parametrize(
    "condition",
    [
        "not K",
        "K == false",
        "K == nil",
        "K ~= true",
        "false == K",
        "not (K)",
        "not K and x",
        "x and not K",
        "not K and f()",
        "not (K or x)",
        "nil",
        "not not not K",
    ],
)
def test_a_branch_that_cannot_run_goes(condition: str) -> None:
    assert pruned(f"local x if {condition} then a() end").removeprefix("local x") == ""


@pytest.mark.parametrize("condition", ["not K or x", "x", "K and x", "f()", "x == K", "y", "#K", "K == 1"])
def test_a_branch_that_may_run_stays(condition: str) -> None:
    assert "a()" in pruned(f"local x if {condition} then a() end")


def test_a_dead_branch_loses_its_body_but_not_the_effects_of_its_condition() -> None:
    assert pruned("if f() and not K then a() end") == "if f()and not K then end"


def test_a_branch_that_always_runs_takes_the_place_of_the_statement() -> None:
    assert pruned("if K then local a = 1 b(a) else c() end") == "do local a=1 b(a)end"
    assert pruned("if not K then a() else b() end") == "do b()end"
    assert pruned("if not K then a() elseif K then b() else c() end") == "do b()end"


def test_what_follows_a_branch_that_always_runs_goes() -> None:
    assert pruned("if x then a() elseif K then b() elseif y then c() else d() end") == "if x then a()else b()end"
    assert pruned("if f() or K then b() else d() end") == "if f()or K then b()end"


def test_branches_inside_branches_are_found() -> None:
    assert pruned("if x then if not K then a() end end") == "if x then end"
    assert pruned("return function() if not K then a() end end") == "return function()end"


def test_a_local_of_the_same_name_is_not_the_global() -> None:
    assert "a()" in pruned("local K = f() if not K then a() end")

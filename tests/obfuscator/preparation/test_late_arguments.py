"""Which functions Luau calls without a call, and which calls of them are written out."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.analysis.builtins import FAST_FUNCTIONS, FAST_MEMBERS, LIBRARIES
from support.luau import run_luau
from support.protecting import protected

CHANGING = "local a = 1 local function f() a = 2 return 7 end "


def functions_of_luau() -> list[str]:
    names = "local function show(prefix, from) for name, value in from do if type(value) == 'function' then print(prefix .. name) end end end "
    libraries = "".join(f"if {one} then show('{one}.', {one}) end " for one in sorted(LIBRARIES))
    result = run_luau(f"{names} {libraries} show('', getfenv())")
    assert result.error is None
    return sorted(set(result.output.split("\n")) | FAST_FUNCTIONS)


def test_the_fast_functions_are_those_that_luau_reads_late_arguments_of() -> None:
    names = functions_of_luau()
    assert len(names) > 150
    tries = []
    for name in names:
        library, _, member = name.rpartition(".")
        spies = f"{{ {library} = {{ {member} = spy }} }}" if library else f"{{ {member} = spy }}"
        tries.append(
            f"do {CHANGING} local seen local function spy(first) seen = first end "
            f"local function work() {CHANGING} {name}(a, (f())) end setfenv(work, {spies}) work() say('{name}', seen) end"
        )
    result = run_luau("local say = print " + "\n".join(tries))
    assert result.error is None
    late = {line.split("\t")[0] for line in result.output.split("\n") if line.endswith("\t2")}
    assert late == FAST_FUNCTIONS | {f"{library}.{member}" for library, member in FAST_MEMBERS}


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("math.min(a, f() + 1)", "(function(b)return math.min(a,b)end)(b()+1)"),
        ("math.clamp(f(), a, f() + 1)", "(function(b,c)return math.clamp(b,a,c)end)(b(),b()+1)"),
        ("(math.min)(a, f() + 1)", "(function(...)return math.min(...)end)(a,b()+1)"),
    ],
)
def test_a_call_is_written_out_where_an_argument_can_change_one_before_it(call: str, written: str) -> None:
    assert protected(CHANGING + f"return {call}", "minify").endswith(f"return{written}")


@pytest.mark.parametrize(
    "call",
    [
        "math.min(f() + 1, a)",
        "math.min(a, f())",
        "math.min(a, 1, x)",
        "math.min(a, a, a, f() + 1)",
        "math.min(a, x, { y = x or not a })",
        "math.min(only, f() + 1)",
        "string.rep(a, f() + 1)",
        "math.unknown(a, f() + 1)",
    ],
)
def test_other_calls_stay(call: str) -> None:
    source = f"{CHANGING} local only = 3 only = 4 local x = f() return {call}"
    assert protected(source, "minify").count("function") == 1


def test_a_function_that_is_an_argument_does_not_run() -> None:
    assert protected(f"{CHANGING} table.insert(a, function() f() end)", "minify").count("function") == 2


def test_a_local_that_only_its_own_function_assigns_changes_in_no_argument() -> None:
    source = (
        "local best = 0 for _, x in list do best = math.max(best, x.cost + 1) end return function() return best end"
    )
    assert protected(source, "minify").count("function(") == 1

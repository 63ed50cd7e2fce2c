from __future__ import annotations

import pytest

from support.luau import run_luau, run_luau_batch
from support.protecting import protected_with

KEYS = {"capture_builtins"}
NAMED = {"capture_builtins", "rename_locals"}


def captured(source: str, **options: str) -> set[str]:
    """What the script reads into locals at its top."""
    text = protected_with(source, KEYS, **options)
    first = text.split("=", 1)
    if not text.startswith("local ") or len(first) < 2:
        return set()
    count = first[0].count(",") + 1
    return set(first[1].replace(" ", ",").split(",")[:count])


def test_library_functions_are_read_once_at_the_top() -> None:
    assert captured("x = math.floor(1) y = math.floor(2) type(x)") >= {"math.floor"}
    text = protected_with("x = math.floor(1) y = math.floor(2)", KEYS)
    assert text.count("math.floor") == 1


def test_a_local_of_the_script_that_holds_one_becomes_the_same_local() -> None:
    text = protected_with("local floor = math.floor return floor(1), math.floor(2)", NAMED)
    assert text.count("local") == 1
    assert run_luau(f"print((function() {text} end)())").output == "1\t2"


@pytest.mark.parametrize(
    "source",
    [
        "print = nil",
        "function print() end print(1)",
        "math.floor = nil return math.floor(1)",
        "function math.floor() end return math.floor(1)",
        "math.floor += 1 return math.floor",
        "local m = math m.floor = 1 return math.floor(1)",
        "_G.print = nil print(1)",
        "getfenv().print = nil print(1)",
        "return os.clock(), workspace, unknown(1), math.unknown",
    ],
)
def test_what_the_script_or_its_host_may_change_is_read_where_it_is_used(source: str) -> None:
    text = protected_with(source, KEYS)
    assert not text.startswith("local") or "=math" in text.split(" ")[1]
    assert captured(source) & {"print", "math.floor", "os.clock", "math.unknown", "workspace"} == set()


def test_what_luau_alone_has_is_not_captured_for_plain_lua() -> None:
    source = "return bit32.band(1, 2), table.create(3), string.rep('a', 2)"
    assert captured(source, target="lua51") == {"string.rep"}
    assert captured(source, target="luau") == {"bit32.band", "table.create", "string.rep"}


def test_a_local_that_is_assigned_later_stays_a_variable() -> None:
    source = "local f = math.floor print(f(1.5)) f = math.ceil print(f(1.5), math.floor(1.5))"
    assert run_luau(protected_with(source, KEYS)) == run_luau(source)


def test_functions_at_their_limit_of_captured_variables_still_compile() -> None:
    calls = " ".join(
        f"print(math.{name}(0.5))" for name in ["abs", "ceil", "cos", "exp", "floor", "sin", "sqrt", "tan"]
    )
    outer = " ".join(f"local v{i} = tostring({i})" for i in range(150))
    inner = " ".join(f"local w{i} = tostring({i})" for i in range(45))
    uses = ", ".join([*(f"v{i}" for i in range(150)), *(f"w{i}" for i in range(45))])
    source = f"{outer} local function f() {inner} return function() {calls} return {{ {uses} }} end end print(#f()())"
    assert run_luau(protected_with(source, KEYS)) == run_luau(source)


def test_methods_and_errors_stay_what_they_were() -> None:
    sources = [
        "print(pcall(math.floor, 'x'))",
        "print(pcall(function() return string.rep() end))",
        "print(select('#', table.unpack({ 1, nil, 3 }, 1, 3)), ('x'):rep(3))",
        "local insert, remove = table.insert, table.remove local t = {} insert(t, 5) print(remove(t), #t)",
    ]
    assert run_luau_batch([protected_with(source, KEYS) for source in sources]) == run_luau_batch(sources)

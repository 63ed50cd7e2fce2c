"""Scripts at a limit of Luau's compiler and just below it still compile and do the same after every profile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from moonlatch.obfuscator.analysis.check import check
from moonlatch.obfuscator.options import PROFILES
from support.luau import compile_luau_batch, run_luau_batch
from support.protecting import protected


def locals_at_the_top(count: int) -> str:
    lines = "\n".join(f"local v{number} = tostring({number} * 1000)" for number in range(count))
    return f"{lines}\nv0 = 'text' .. v1 print(v0, v{count - 1})"


def locals_in_a_function(count: int) -> str:
    return f"local function f(...) {locals_at_the_top(count)} return v1, 'some text' end print(f(123456))"


def parameters(count: int) -> str:
    names = ", ".join(f"p{number}" for number in range(count))
    return f"local function f({names}) return p0 .. 'text', p{count - 1} end print(f({', '.join(map(str, range(1000, 1000 + count)))}))"


def captured_variables(count: int) -> str:
    outer = "\n".join(f"local v{number} = tostring({number})" for number in range(100))
    inner = "\n".join(f"local w{number} = tostring({number})" for number in range(count - 100))
    used = " .. ".join(f"v{number}" for number in range(100)) + " .. 'text'"
    others = "\n".join(f"w{number} = w{number} .. 'x'" for number in range(count - 100))
    return f"{outer}\nlocal function outer()\n{inner}\nreturn function() {others} return {used}, w0 end end\nprint(outer()())"


def branches(count: int) -> str:
    middle = "\n".join(f"elseif n == {number} then print('branch', {number})" for number in range(1, count + 1))
    return f"for n = 0, {count + 1}, 199 do if n == 0 then print('first')\n{middle}\nelse print('last') end end"


def arguments(count: int) -> str:
    values = ", ".join(f"'{number}'" if number % 3 else f"{number}000" for number in range(count))
    return f"print({values})"


def joined(count: int) -> str:
    return (
        "local a = tostring('x') print(#("
        + " .. ".join(["a", "'long text'"] * (count // 2) + ["a"] * (count % 2))
        + "))"
    )


def nested_tables(count: int) -> str:
    return f"local t = {'{' * count} 'text' {'}' * count} local n = 0 while type(t) == 'table' do t = t[1] n += 1 end print(n, t)"


def nested_functions(count: int) -> str:
    return f"local function call(f) return f('text', 12345) end print({'call(function(...) return ' * count}...{' end)' * count})"


def returned_values(count: int) -> str:
    return f"print(select('#', (function() return {', '.join(['12345'] * count)} end)()))"


def nested_blocks(count: int) -> str:
    return f"local n = 0 {'do n += 1 ' * count} print(n, 'text') {'end ' * count}"


def operands(count: int) -> str:
    return "local a = tonumber('12345') print(" + " + ".join(["a"] * count) + ", 'text')"


def list_items(count: int) -> str:
    return (
        "local t = { "
        + ", ".join(f"{number}, 'item {number}'" for number in range(count))
        + " } print(#t, t[1], t[#t])"
    )


def closures(count: int) -> str:
    return (
        "local t = {}\n"
        + "\n".join(f"t[{number}] = function(x) return x, {number} end" for number in range(count))
        + f"\nprint(t[{count - 1}]('text'))"
    )


LIMITS: list[tuple[Callable[[int], str], int]] = [
    (locals_at_the_top, 200),
    (locals_in_a_function, 200),
    (parameters, 200),
    (captured_variables, 200),
    (branches, 996),
    (arguments, 254),
    (joined, 251),
    (nested_tables, 254),
    (nested_functions, 332),
    (returned_values, 254),
    (nested_blocks, 998),
    (operands, 254),
]
# Not at a limit, but many.
MANY: list[tuple[Callable[[int], str], int]] = [(list_items, 5_000), (closures, 2_000)]
AT_AND_BELOW = [*((write, count) for write, limit in LIMITS for count in (limit, limit - 1)), *MANY]
SCRIPTS = [write(count) for write, count in AT_AND_BELOW]


def test_these_are_the_limits() -> None:
    below = compile_luau_batch([write(limit) for write, limit in LIMITS])
    above = [compile_luau_batch([write(limit + 1)])[0] for write, limit in LIMITS]
    assert [write.__name__ for (write, _), result in zip(LIMITS, below, strict=True) if result.compile_error] == []
    # Real Luau ends its process at what its compiler refuses.
    assert [write.__name__ for (write, _), result in zip(LIMITS, above, strict=True) if not result.crashed] == []
    assert [write.__name__ for write, limit in LIMITS if check(write(limit)) or not check(write(limit + 1))] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_scripts_at_and_below_a_limit_stay_valid_and_do_the_same(profile: str) -> None:
    before = run_luau_batch(SCRIPTS)
    after = run_luau_batch([protected(source, profile) for source in SCRIPTS])
    assert [result for result in before if result.error or result.compile_error or result.crashed] == []
    differing = zip(AT_AND_BELOW, before, after, strict=True)
    assert [(write.__name__, count) for (write, count), one, other in differing if one != other] == []

from __future__ import annotations

import pytest

from moonlatch.obfuscator.analysis.capacity import Capacity, needs_own_function
from moonlatch.obfuscator.analysis.scopes import resolve
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.target import Target
from support.luau import run_lua, run_luau
from support.protecting import protected


def capturing(count: int) -> str:
    """A script whose inner function captures that many locals and mentions a string and a number."""
    locals_ = " ".join(f"local v{i} = tostring({i})" for i in range(count))
    captured = ", ".join(f"v{i}" for i in range(count))
    return f"{locals_} local function f() local t = {{ {captured} }} return #t, 'captured text', 123456 end print(f())"


@pytest.mark.parametrize(("target", "limit"), [(Target.LUA51, 60), (Target.LUAU, 200)])
def test_a_function_has_room_below_its_limit_of_captured_variables(target: Target, limit: int) -> None:
    for count, expected in ((limit - 1, True), (limit, False)):
        blocks = [range(count // 2), range(count // 2, count)]
        outer = "".join(
            f"local function h{n}() {' '.join(f'local v{i} = f()' for i in block)} " for n, block in enumerate(blocks)
        )
        uses = " ".join(f"f(v{i})" for i in range(count))
        resolution = resolve(parse(f"{outer} return function() {uses} end end end"))
        inner = resolution.frames[-1]
        # `f` is a global, so the locals are all it captures.
        assert len(inner.upvalues) == count
        assert Capacity(resolution, target).has_room(inner.node) is expected


@pytest.mark.parametrize("count", [58, 59, 60])
@pytest.mark.parametrize("version", ["lua51", "luajit21", "lua54"])
def test_functions_at_the_limit_of_plain_lua_still_run(count: int, version: str) -> None:
    source = capturing(count)
    assert run_lua(version, protected(source, target="lua51")) == run_lua(version, source)


@pytest.mark.parametrize("count", [150, 190, 197])
def test_functions_at_the_limit_of_luau_still_run(count: int) -> None:
    source = capturing(count)
    assert run_luau(protected(source)) == run_luau(source)


def test_a_chunk_close_to_its_limits_needs_a_function_of_its_own() -> None:
    assert not needs_own_function(resolve(parse(capturing(100))).main)
    assert needs_own_function(resolve(parse(capturing(195))).main)


def test_two_hundred_locals_and_varargs_still_run_on_lua_51() -> None:
    lines = " ".join(f"local v{i} = tostring({i})" for i in range(200))
    source = f"{lines} print(select('#', ...), v199, 'some text')"
    assert run_lua("lua51", protected(source, target="lua51")) == run_lua("lua51", source)

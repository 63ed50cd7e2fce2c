from __future__ import annotations

import pytest

from support.luau import run_luau
from support.protecting import protected_with

HIDDEN = {"encrypt_names", "keyed_constants", "rename_locals"}


@pytest.mark.parametrize(
    "source",
    [
        "return thing.secret",
        "thing.secret = 1",
        "thing.secret += 1",
        "return { secret = 1 }",
        "function thing.secret() end",
        "function thing.secret.deeper() end",
        "function thing:secret() return self end",
        "return thing.other.secret.last",
        "local t = { { secret = { secret = 2 } } } return t[1].secret.secret",
    ],
)
def test_field_names_do_not_show(source: str) -> None:
    assert "secret" in source
    assert "secret" not in protected_with(source, HIDDEN)


@pytest.mark.parametrize("source", ["object:secret()", "secret()", "return os.clock()", "return task.wait(1)"])
def test_what_a_host_must_see_stays(source: str) -> None:
    assert source.split("(")[0].split(" ")[-1] in protected_with(source, HIDDEN)


def test_methods_keep_their_self_and_their_other_arguments() -> None:
    source = (
        "local C = {} C.__index = C function C.new(x) return setmetatable({ x = x }, C) end function C:add(y, ...) self.x += y return self, ... end "
        "C.deep = { er = {} } function C.deep.er:m(a) return self == C.deep.er, a end function C.plain(a) return a end "
        "local c = C.new(1) print(c:add(2, 'rest').x, select('#', c:add(1, nil, nil)), c.x, C.deep.er:m(5)) print(C.plain(3), c.plain(4) )"
    )
    for seed in range(4):
        assert run_luau(protected_with(source, HIDDEN, seed)) == run_luau(source)


def test_errors_still_name_the_field() -> None:
    source = (
        "print(pcall(function() local t = {} return t.missing.field end)) print(pcall(function() local t t.x = 1 end))"
    )
    assert run_luau(protected_with(source, HIDDEN)).output == run_luau(source).output


def test_metamethods_see_the_same_keys_in_the_same_order() -> None:
    source = (
        "local log = {} local t = setmetatable({}, { __index = function(_, k) log[#log + 1] = 'get ' .. k return nil end, "
        "__newindex = function(s, k, v) log[#log + 1] = 'set ' .. k rawset(s, k, v) end }) "
        "t.a = t.b t.c, t.d = t.e, t.f t.a = 2 print(table.concat(log, ','))"
    )
    assert run_luau(protected_with(source, HIDDEN)) == run_luau(source)

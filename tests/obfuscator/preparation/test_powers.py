"""Luau computes `x ^ 2`, `x ^ 3` and `x ^ 0.5` by other means than other powers, and so does a protected script."""

from __future__ import annotations

import pytest

from moonlatch.obfuscator.options import PROFILES
from support.luau import run_luau
from support.protecting import keys_of_pass_alone, protected, protected_with

# Numbers whose cube as a product is not the one that `pow` gives, and those whose square root has a sign or is none.
SOURCE = """
local function show(...) for _, value in { ... } do print(string.format("%.17g", value), 1 / value) end end
local function powers(x) show(x ^ 2, x ^ 3, x ^ 0.5, x ^ (3), x ^ (.5 :: number), x ^ 4, x ^ 1.5) end
local function changed(x) local y, z = x, x y ^= 3 z ^= 5e-1 show(y, z) end
for _, x in { 0.2877, 0.3973, 0.4247, 0.5754, 0.6713 } do powers(x) changed(x) end
for _, x in { "-0", "-inf" } do powers(tonumber(x)) changed(tonumber(x)) end
local once = tonumber("0.2877") show(once ^ 3) show(once ^ 0.5)
"""
# The same with exponents that Luau finds out while compiling; what it cannot find out is `pow`.
EXPONENTS = """
local function show(...) for _, value in { ... } do print(string.format("%.17g", value), 1 / value) end end
local three, half, changing = 3, 1 / 2, 3
if show then changing = 3 end
local cube, never = three - 0, (three :: any) == 4
local function powers(x)
    show(x ^ three, x ^ half, x ^ (1 + 2), x ^ cube, x ^ -(-3), x ^ #"abc", x ^ #("a" .. `bc`), x ^ changing, x ^ math.floor(3.5))
    show(x ^ (if true then 3 else x), x ^ (if never then x else .5), x ^ (never and x or three), x ^ (nil or half), x ^ (7 % 4 // 1))
    local y = x y ^= cube show(y)
end
for _, x in { 0.2877, 0.3973, 0.4247, 0.5754, 0.6713 } do powers(x) end
powers(tonumber("-0")) powers(tonumber("-inf"))
"""
# Powers that Luau finds out while compiling: by `pow`, whatever the exponent.
CONSTANTS = """
local function show(...) for _, value in { ... } do print(string.format("%.17g", value), 1 / value) end end
local base, three, changing, zero = .2877, 3, .2877, -0
if show then changing = .2877 end
show(.2877 ^ 3, base ^ three, base ^ 3, changing ^ 3, changing ^ three, (-base) ^ 3, (base + 0) ^ 2, .3973 ^ 3, base ^ 3 ^ 3)
show(zero ^ .5, (-0) ^ .5, (-1e999) ^ .5, (-(1 / 0)) ^ .5, (0 / 0) ^ .5, (base ^ 3) ^ 3, (-base ^ 3) ^ 3, 12345.678 ^ 2)
local function inner() return base ^ 3, (if three > 2 then base else 1) ^ 3, (#"four" / 7) ^ 3, 2 ^ three, -base ^ three end
show(inner())
"""
SOURCES = {"exponents": SOURCE, "constant exponents": EXPONENTS, "constants": CONSTANTS}


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    text = SOURCES[request.param]
    assert isinstance(text, str)
    return text


@pytest.fixture(scope="module")
def expected(source: str) -> str:
    result = run_luau(source)
    assert result.error is None
    assert "0.023813300133000" in result.output
    return result.output


@pytest.mark.parametrize("profile", PROFILES)
def test_powers_have_the_same_last_digit_and_sign(source: str, expected: str, profile: str) -> None:
    assert [run_luau(protected(source, profile, seed)).output for seed in range(5)] == [expected] * 5


@pytest.mark.parametrize("key", ["virtualize", "encrypt_numbers", "keyed_constants", "outline_expressions"])
def test_each_pass_that_changes_what_powers_are_of_keeps_them(source: str, expected: str, key: str) -> None:
    builds = [protected_with(source, keys_of_pass_alone(key), seed) for seed in range(10)]
    assert [run_luau(build).output for build in builds] == [expected] * 10


def test_what_no_power_needs_is_hidden_as_ever() -> None:
    text = protected("local x = .5 print(x, 1.25, x ^ 1.5, .75 ^ 4)", "light")
    assert [number for number in (".5", "1.25", "1.5", ".75") if number in text] == []

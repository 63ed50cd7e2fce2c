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


@pytest.fixture(scope="module")
def expected() -> str:
    result = run_luau(SOURCE)
    assert result.error is None
    assert "-0\t-inf" in result.output
    return result.output


@pytest.mark.parametrize("profile", PROFILES)
def test_powers_have_the_same_last_digit_and_sign(expected: str, profile: str) -> None:
    assert [run_luau(protected(SOURCE, profile, seed)).output for seed in range(5)] == [expected] * 5


@pytest.mark.parametrize("key", ["virtualize", "encrypt_numbers", "keyed_constants"])
def test_each_pass_that_writes_numbers_keeps_such_exponents(expected: str, key: str) -> None:
    assert [run_luau(protected_with(SOURCE, keys_of_pass_alone(key), seed)).output for seed in range(10)] == [
        expected
    ] * 10

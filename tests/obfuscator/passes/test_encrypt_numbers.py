from __future__ import annotations

import pytest

from support.luau import run_lua, run_luau
from support.protecting import protected, protected_with

KEYS = {"encrypt_numbers", "constant_pool"}


@pytest.mark.parametrize(
    "number", ["1000", "0.5", "123456789", "0xFFFF", "1e300", "1e-5", "9007199254740993", "0b11111111111"]
)
def test_a_telling_number_becomes_an_access(number: str) -> None:
    assert protected_with(f"return {number}", KEYS).endswith("return pool[1]")


@pytest.mark.parametrize("number", ["0", "7", "999", "1e999", "123456i"])
def test_other_numbers_stay(number: str) -> None:
    assert "pool" not in protected_with(f"return {number}", KEYS)


def test_equal_numbers_share_a_place_whatever_their_spelling() -> None:
    assert protected_with("return 4096, 0x1000, 4_096, 4096.0", KEYS, target="luau").endswith(
        "return pool[1],pool[1],pool[1],pool[1]"
    )


def test_values_are_exact() -> None:
    numbers = [
        "9007199254740991",
        "9007199254740993",
        "0.1",
        "1.7976931348623157e308",
        "5e-324",
        "123456.789e3",
        "0xFFFFFFFFFFFFF8",
    ]
    source = "".join(f"print(string.format('%.17g', {number}))" for number in numbers)
    assert run_luau(protected(source)) == run_luau(source)


def test_integers_and_floats_stay_apart_where_lua_tells_them_apart() -> None:
    source = "print(1000, 1000.0, 1e3, 0xFFFF, 2500 // 1 == nil, 1e15, 1e16)".replace("2500 // 1 == nil, ", "")
    assert run_lua("lua54", protected(source, target="lua51")) == run_lua("lua54", source)


def test_loops_count_as_before() -> None:
    source = "local n = 0 for i = 1000, 2000, 0.5 do n = n + 1 end print(n) for i = 1500, 1498, -1 do print(i) end"
    assert run_luau(protected(source)) == run_luau(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "for i = 1, 9 do f(5000, 0.5, 5000) end",
            "do local pool_0,pool_1=pool[1],pool[2]for i=1,9 do f(pool_0,pool_1,pool_0)end end",
        ),
        ("while f() < 5000 do end", "do local pool_0=pool[1]while f()<pool_0 do end end"),
        ("repeat local x = 5000 until x", "do local pool_0=pool[1]repeat local x=pool_0 until x end"),
        (
            "while f() do for _ in g do h(5000) end end",
            "do local pool_0=pool[1]while f()do for _ in g do h(pool_0)end end end",
        ),
        ("while f() do g(function() return 5000 end) end", "while f()do g(function()return pool[1]end)end"),
        ("while f() do g(5) end", "while f()do g(5)end"),
    ],
)
def test_numbers_of_a_loop_are_read_before_it(source: str, text: str) -> None:
    assert protected_with(source, KEYS).endswith(text)


def test_a_loop_takes_only_so_many_locals() -> None:
    numbers = [1000 + number for number in range(30)]
    source = f"local n = 0 for i = 1, 3 do n = n + {' + '.join(map(str, numbers))} end print(n)"
    text = protected_with(source, KEYS)
    assert "pool_7" in text
    assert "pool_8" not in text
    assert run_luau(text).output == str(3 * sum(numbers))


def test_a_full_function_gets_no_further_locals() -> None:
    lines = " ".join(f"local v{i} = f({i})" for i in range(195))
    source = f"local f = tostring local function g() {lines} for i = 1, 2 do print(5000, v1, v194) end end g()"
    assert run_luau(protected(source)) == run_luau(source)

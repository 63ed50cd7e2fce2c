from __future__ import annotations

from support.luau import run_lua, run_luau, run_luau_batch
from support.protecting import protected_with

KEYS = {"disguise_literals"}
SEEDS = range(12)


def texts(source: str) -> list[str]:
    return [protected_with(source, KEYS, seed) for seed in SEEDS]


def test_small_numbers_and_booleans_become_expressions_of_the_same_value() -> None:
    source = "x = 3 y = true z = false t = { 1, 2, 999 } print(x, y, z, t[1], t[2], t[3], 0, -1)"
    assert max(text.count("%") for text in texts(source)) >= 3
    assert set(run_luau_batch(texts(source))) == {run_luau(source)}


def test_loops_and_functions_made_in_them_keep_theirs() -> None:
    source = "for i = 1, n do x = 3 y = true f(function() return 4, false end) end while true do z = 5 end"
    assert {text.count("%") for text in texts(source)} == {0}


def test_constants_that_luau_folds_stay() -> None:
    assert {text.count("%") for text in texts("local SIZE, NAME, ON = 64, 'x', true return SIZE")} == {0}


def test_long_lists_stay() -> None:
    source = "return { " + ", ".join(str(i) for i in range(100)) + " }"
    assert {text.count("%") for text in texts(source)} == {0}


def test_whole_numbers_stay_whole_where_lua_tells_them_from_floats() -> None:
    source = "a = 1 b = 2.0 c = 10 print(a, b, c, a + c, 7 // 2, 1 == 1.0)"
    for seed in SEEDS:
        text = protected_with(source.replace("7 // 2, ", ""), KEYS, seed, target="lua51")
        assert run_lua("lua54", text) == run_lua("lua54", source.replace("7 // 2, ", ""))

"""What the protector folds has the value that Luau gives it; what depends on the run is unknown."""

from __future__ import annotations

import math

import pytest

from moonlatch.obfuscator.analysis.constants import UNKNOWN, Constant, Constants
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse
from support.luau import run_luau

NUMBERS = ["0", "-0", "1", "2.5", "-7", "0.1", "1e308", "-3", "1e999", "-1e999", "0/0", "5e-324"]
KNOWN = [
    *[f"({left}) {operator} ({right})" for operator in ("+", "-", "*", "/", "//", "%") for left in NUMBERS for right in NUMBERS],
    *[f"({left}) {operator} ({right})" for operator in ("<", "<=", ">", ">=", "==", "~=") for left in NUMBERS for right in NUMBERS],
    *[f"({left}) ^ ({right})" for left in NUMBERS for right in ("0", "-1", "2", "3", "-3", "0.5", "1e999", "-1e999", "0/0")],
    *['"a" == "a"', '"a" ~= "b"', '"1" == 1', "nil == nil", "nil == false", "true == true", "1 == true", "0 == -0"],
    *["1 and 2", "nil and 2", "false or 3", "0 or 3", "not nil", "not 0", "nil or false", "'' and 4"],
    *['#"four"', '#("a" .. "bc")', "#`text`", '"a" .. "b"', "(1 :: any) + 1", "-(-(2))", "-#'ab'"],
    *["if nil then 1 elseif 0 then 2 else 3", "if false then 1 else 3", "if true then 1 else 3"],
]  # fmt: skip
UNKNOWNS = [
    "x",
    "x + 1",
    "1 + x",
    "x and 1",
    "1 and x",
    "f()",
    "{}",
    "-'1'",
    "'1' + 1",
    "1 .. 2",
    "1 < '2'",
    "`{1}`",
    "if x then 1 else 1",
    "#{}",
]


def value_of(expression: str) -> Constant:
    (statement,) = parse(f"return {expression}".encode()).body.body
    assert isinstance(statement, s.Return)
    return Constants().value(statement.values[0])


def shown(value: Constant) -> str:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value:.17g}"
    return value.decode() if isinstance(value, bytes) else "nil" if not isinstance(value, bool) else str(value).lower()


def test_constants_have_the_values_that_luau_gives_them() -> None:
    show = 'local function show(x) print(if x ~= x then "nan" elseif type(x) == "number" then string.format("%.17g", x) else tostring(x)) end '
    result = run_luau(show + " ".join(f"show({expression})" for expression in KNOWN))
    assert result.error is None
    assert dict(zip(KNOWN, map(shown, map(value_of, KNOWN)), strict=True)) == dict(
        zip(KNOWN, result.output.split("\n"), strict=True)
    )


@pytest.mark.parametrize("expression", UNKNOWNS)
def test_what_depends_on_the_run_is_unknown(expression: str) -> None:
    assert value_of(expression) is UNKNOWN


def test_strings_that_double_each_other_do_not_fill_the_memory() -> None:
    constants, sizes = Constants(), []
    text: s.Expression = s.String(b"x" * 64, 1)
    for _ in range(60):
        value = constants.value(s.Binary("..", text, text, 1))
        sizes.append(len(value) if isinstance(value, bytes) else 0)
        text = s.Name("a", 1)
        text.binding = s.Binding("a", 1)
        constants.locals[text.binding] = value
    assert sizes == [128, 256, 512, 1024, 2048, 4096] + [0] * 54

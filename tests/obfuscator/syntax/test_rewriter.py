from __future__ import annotations

import pytest

from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk
from moonlatch.obfuscator.syntax.rewriter import Rewriter
from support.protecting import protected


class _Doubler(Rewriter):
    def rewrite_number(self, node: tree.Number) -> tree.Expression:
        return tree.Number(str(int(node.value * 2)), node.value * 2, node.line)


class _Functions(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tree.Function] = []

    def function(self, function: tree.Function) -> None:
        self.found.append(function)
        super().function(function)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("local f=function()return 1 end return 2", "local f=function()return 1 end return 4"),
        ("local function f()return 1 end return 2", "local function f()return 1 end return 4"),
        ("function f()return function()return 1 end end", "function f()return function()return 1 end end"),
    ],
)
def test_sealed_functions_are_left_alone_with_everything_in_them(source: str, text: str) -> None:
    chunk = parse(source)
    functions = _Functions()
    functions.chunk(chunk)
    _Doubler({functions.found[0]}).chunk(chunk)
    assert print_chunk(chunk) == text


def test_a_declaration_whose_name_was_replaced_by_a_value_becomes_an_assignment() -> None:
    source = "f() function la_exists.of.it:go(a) return self, a end"
    assert protected(source, "minify", client=True) == "f();(true).of.it.go=function(a,b)return a,b end"
    assert protected("function LPH_LINE.x() end", "minify") == "(1).x=function()end"

"""Removes what only the type checker reads: type declarations, casts, explicit instantiations, checker attributes."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.transform.unit import Unit

KEY = "drop_types"
# Several values become one in parentheses, and a local that begins with a bare function is for Luau that function itself.
_KEPT_IN_PARENTHESES = (s.Call, s.MethodCall, s.Varargs, s.Function)
# The others (`@native`) change how code runs.
_CHECKER_ATTRIBUTES = frozenset({"checked", "deprecated"})


def run(unit: Unit) -> None:
    _TypeDropper().chunk(unit.chunk)


class _TypeDropper(Rewriter):
    def rewrite_type_assertion(self, node: s.TypeAssertion) -> s.Expression:
        return self._one_value(node.value, node.line)

    def rewrite_instantiation(self, node: s.Instantiation) -> s.Expression:
        return self._one_value(node.value, node.line)

    def _one_value(self, value: s.Expression, line: int) -> s.Expression:
        value = self.expression(value)
        return s.Group(value, line) if isinstance(unwrapped(value), _KEPT_IN_PARENTHESES) else value

    def function(self, function: s.Function) -> None:
        function.attributes = [a for a in function.attributes if a.name not in _CHECKER_ATTRIBUTES]
        super().function(function)

    def rewrite_type_alias(self, _: s.TypeAlias) -> Replacement:
        return None

    def rewrite_type_function(self, _: s.TypeFunction) -> Replacement:
        return None

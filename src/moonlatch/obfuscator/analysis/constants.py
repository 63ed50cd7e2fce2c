"""What Luau computes while it compiles: the values of expressions of literals, and of locals that only ever hold one."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto

from moonlatch.obfuscator.syntax import tree as s


class _Mark(Enum):
    NIL = auto()
    UNKNOWN = auto()


UNKNOWN = _Mark.UNKNOWN
Constant = float | bool | bytes | _Mark
_LONGEST_FOLDED = 4_096
"""Bytes of a string. Locals that double each other would fill the memory; nobody takes so long a one for an exponent."""


class Constants:
    """Folds as Luau's compiler does at its levels 1 and 2. `locals` are the variables whose values are known so far."""

    def __init__(self) -> None:
        self.locals: dict[s.Binding, Constant] = {}

    def value(self, node: s.Expression) -> Constant:
        """The value, or UNKNOWN when it is found at run time."""
        if isinstance(node, s.Number):
            return node.value
        if isinstance(node, s.Name):
            return UNKNOWN if node.binding is None else self.locals.get(node.binding, UNKNOWN)
        if isinstance(node, s.Group | s.TypeAssertion | s.Instantiation):
            return self.value(node.value)
        if isinstance(node, s.Unary):
            return _unary(node.operator, self.value(node.operand))
        if isinstance(node, s.Binary):
            return self._binary(node)
        if isinstance(node, s.IfExpression):
            return self._choice(node)
        return _literal(node)

    def _binary(self, node: s.Binary) -> Constant:
        left = self.value(node.left)
        if left is UNKNOWN:
            return UNKNOWN
        if node.operator in ("and", "or"):
            return self.value(node.right) if is_true(left) is (node.operator == "and") else left
        right = self.value(node.right)
        if right is UNKNOWN:
            return UNKNOWN
        if node.operator in ("==", "~="):
            return (type(left) is type(right) and left == right) is (node.operator == "==")
        if node.operator == ".." and isinstance(left, bytes) and isinstance(right, bytes):
            return left + right if len(left) + len(right) <= _LONGEST_FOLDED else UNKNOWN
        if type(left) is float and type(right) is float and node.operator in _OPERATORS:
            return _OPERATORS[node.operator](left, right)
        return UNKNOWN

    def _choice(self, node: s.IfExpression) -> Constant:
        for condition, value in node.clauses:
            known = self.value(condition)
            if known is UNKNOWN:
                return UNKNOWN
            if is_true(known):
                return self.value(value)
        return self.value(node.otherwise)


def _literal(node: s.Expression) -> Constant:
    if isinstance(node, s.String):
        return node.value
    if isinstance(node, s.InterpolatedString) and not node.values:
        return node.parts[0]
    if isinstance(node, s.TrueValue | s.FalseValue):
        return isinstance(node, s.TrueValue)
    return _Mark.NIL if isinstance(node, s.Nil) else UNKNOWN


def is_true(value: Constant) -> bool:
    return value is not False and value is not _Mark.NIL


def _unary(operator: str, value: Constant) -> Constant:
    if operator == "not" and value is not UNKNOWN:
        return not is_true(value)
    if operator == "-" and type(value) is float:
        return -value
    return float(len(value)) if operator == "#" and isinstance(value, bytes) else UNKNOWN


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _floored(value: float) -> float:
    return value if math.isnan(value) or math.isinf(value) or not value else float(math.floor(value))


def _remainder(left: float, right: float) -> float:
    return left - _floored(_divided(left, right)) * right


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        return math.nan if left else _divided(1.0, math.pow(left, -right))


_OPERATORS: dict[str, Callable[[float, float], float | bool]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "//": lambda left, right: _floored(_divided(left, right)),
    "%": _remainder,
    "^": _power,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}

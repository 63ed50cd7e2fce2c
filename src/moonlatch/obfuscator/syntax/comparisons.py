"""Comparisons with a literal, which read the same from either side: `x < 5` and `5 > x`.

Every Lua compiles `a > b` as `b < a`, so that even metamethods and errors see the operands in one order; `==` with a literal never
calls any. The literal has no effect, so nothing is evaluated in another order.
"""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped

TURNED = {"==": "==", "~=": "~=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_ORDERED = (s.Number, s.String)
_LITERALS = (*_ORDERED, s.Nil, s.TrueValue, s.FalseValue)
_MOST_NODES = 16


def is_literal_of(node: s.Expression, operator: str) -> bool:
    """Whether the comparison may be turned round for this operand alone."""
    return isinstance(unwrapped(node), _LITERALS if operator in ("==", "~=") else _ORDERED)


def is_turnable(node: s.Binary) -> bool:
    """Whether exactly one side is a literal."""
    if node.operator not in TURNED:
        return False
    return is_literal_of(node.left, node.operator) != is_literal_of(node.right, node.operator)


def turned(node: s.Binary) -> s.Binary:
    """The comparison as it reads from the other side."""
    return s.Binary(TURNED[node.operator], node.right, node.left, node.line)


def line_of_small(node: s.Expression) -> int | None:
    """The one line of the source that all of an expression stands on, 0 for none; None if there are several or it is large."""
    line, pending = 0, [node]
    for count, one in enumerate(pending):  # grows while it is gone through
        if count >= _MOST_NODES or (one.line and line and one.line != line) or one.line < 0:
            return None
        line = one.line or line
        match one:
            case s.Name() | s.Number() | s.String() | s.Nil() | s.TrueValue() | s.FalseValue() | s.Varargs():
                pass
            case s.Group() | s.TypeAssertion() | s.Instantiation():
                pending.append(one.value)
            case s.Unary():
                pending.append(one.operand)
            case s.IndexName():
                pending.append(one.object)
            case s.Index():
                pending += [one.object, one.key]
            case s.Binary():
                pending += [one.left, one.right]
            case s.Call():
                pending += [one.function, *one.arguments]
            case s.MethodCall():
                pending += [one.object, *one.arguments]
            case _:
                return None
    return line

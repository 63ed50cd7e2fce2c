"""Values of which each copy of a build has one of two spellings: an `IfExpression` over a `Choice`, of which the copy's text has one side."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree as s


def choice(number: int, first: s.Expression, second: s.Expression, line: int) -> s.IfExpression:
    """One value, of either spelling; `number` tells it from the script's others."""
    return s.IfExpression([(s.Choice(number, line), first)], second, line)


def turn(number: int, first: s.Binary, second: s.Binary) -> s.IfExpression:
    """A comparison from one side or the other; they have no node in common."""
    return s.IfExpression([(s.Choice(number, first.line, is_turn=True), first)], second, first.line)


def is_turn(node: s.IfExpression) -> bool:
    """Whether it is a comparison that may be turned round, and not any two values."""
    condition = node.clauses[0][0]
    return isinstance(condition, s.Choice) and condition.is_turn


def spellings(node: s.Expression) -> tuple[s.Expression, s.Expression] | None:
    """The two of a value that has two, None for everything else."""
    if isinstance(node, s.IfExpression) and isinstance(node.clauses[0][0], s.Choice):
        return node.clauses[0][1], node.otherwise
    return None


def number_of(node: s.IfExpression) -> int:
    """Which choice of the script's it is; 0 for an expression that is none."""
    condition = node.clauses[0][0]
    return condition.number if isinstance(condition, s.Choice) else 0

"""Removes branches of `if` statements that can never run, given that some globals are known to be true.

This is what makes development mocks such as `if not la_exists then ... end` disappear from a build.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter


class Worth(Enum):
    """What is known of a value: exactly which constant it is, or how a test of it comes out, or nothing."""

    NIL = auto()
    FALSE = auto()
    TRUE = auto()
    FALSY = auto()
    TRUTHY = auto()
    UNKNOWN = auto()

    @property
    def is_falsy(self) -> bool:
        return self in (Worth.NIL, Worth.FALSE, Worth.FALSY)

    @property
    def is_truthy(self) -> bool:
        return self in (Worth.TRUE, Worth.TRUTHY)

    @property
    def is_exact(self) -> bool:
        return self in (Worth.NIL, Worth.FALSE, Worth.TRUE)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A condition's worth, and whether finding it out at run time could do anything else."""

    worth: Worth
    is_pure: bool = True


_CONSTANTS: dict[type[s.Expression], Worth] = {
    s.Nil: Worth.NIL,
    s.TrueValue: Worth.TRUE,
    s.FalseValue: Worth.FALSE,
    s.Number: Worth.TRUTHY,
    s.Integer: Worth.TRUTHY,
    s.String: Worth.TRUTHY,
    s.Function: Worth.TRUTHY,
}


def remove_dead_branches(chunk: s.Chunk, known_true: AbstractSet[str]) -> None:
    """The names in `known_true` count as `true` wherever they are globals; the chunk's names must be resolved."""
    _Pruner(known_true).chunk(chunk)


class _Pruner(Rewriter):
    def __init__(self, known_true: AbstractSet[str]) -> None:
        super().__init__()
        self._known_true = known_true

    def rewrite_if(self, node: s.If) -> Replacement:
        clauses: list[tuple[s.Expression, s.Block]] = []
        otherwise = node.otherwise
        for condition, block in node.clauses:
            outcome = self._outcome(condition)
            if outcome.worth.is_falsy:
                if not outcome.is_pure:
                    clauses.append((condition, s.Block([], block.line)))
            elif outcome.worth.is_truthy:
                otherwise = block
                if not outcome.is_pure:
                    clauses.append((condition, block))
                    otherwise = None
                break
            else:
                clauses.append((condition, block))
        if not clauses:
            if otherwise is None or not otherwise.body:
                return None
            return super().rewrite_do(s.Do(otherwise, node.line))
        node.clauses, node.otherwise = clauses, otherwise
        return super().rewrite_if(node)

    def _outcome(self, node: s.Expression) -> _Outcome:
        constant = _CONSTANTS.get(type(node))
        if constant is not None:
            return _Outcome(constant)
        if isinstance(node, s.Name):
            is_known = node.binding is None and node.name in self._known_true
            # Reading a global can call a metamethod of the environment.
            return _Outcome(Worth.TRUE if is_known else Worth.UNKNOWN, is_pure=is_known or node.binding is not None)
        if isinstance(node, s.Group | s.TypeAssertion):
            return self._outcome(node.value)
        if isinstance(node, s.Unary) and node.operator == "not":
            inner = self._outcome(node.operand)
            worth = Worth.FALSE if inner.worth.is_truthy else Worth.TRUE if inner.worth.is_falsy else Worth.UNKNOWN
            return _Outcome(worth, inner.is_pure)
        if isinstance(node, s.Binary):
            return self._binary(node)
        return _Outcome(Worth.UNKNOWN, is_pure=False)

    def _binary(self, node: s.Binary) -> _Outcome:
        left = self._outcome(node.left)
        if node.operator == "and":
            if left.worth.is_falsy:
                return left
            right = self._outcome(node.right)
            is_pure = left.is_pure and right.is_pure
            if left.worth.is_truthy:
                return _Outcome(right.worth, is_pure)
            return _Outcome(Worth.FALSY if right.worth.is_falsy else Worth.UNKNOWN, is_pure)
        if node.operator == "or":
            if left.worth.is_truthy:
                return left
            right = self._outcome(node.right)
            is_pure = left.is_pure and right.is_pure
            if left.worth.is_falsy:
                return _Outcome(right.worth, is_pure)
            return _Outcome(Worth.TRUTHY if right.worth.is_truthy else Worth.UNKNOWN, is_pure)
        if node.operator in ("==", "~="):
            right = self._outcome(node.right)
            if left.worth.is_exact and right.worth.is_exact:
                is_true = (left.worth is right.worth) == (node.operator == "==")
                return _Outcome(Worth.TRUE if is_true else Worth.FALSE, left.is_pure and right.is_pure)
        return _Outcome(Worth.UNKNOWN, is_pure=False)

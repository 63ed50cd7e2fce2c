"""Says what the machine's own functions say in one of many ways, drawn for each build, so that no two builds have the same text.

For code that was written here alone: it reckons with numbers, its conditions are comparisons of those, or of what is there, and
nothing in it is a metamethod. What the script itself does is never said in another way.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.comparisons import TURNED
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.transform.cold_code import contents

_NEGATED = {"==": "~=", "~=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_JUMPS = {s.Break, s.Return, s.Continue}
_IMPURE = {s.Call, s.MethodCall, s.Function, s.Varargs}
_ARITHMETIC = {"+", "-", "*", "/", "%"}
_MOST_JOINED = 4
_HALF = 0.5


class Phrasing(Rewriter):
    """Changes functions in place. `prefix` begins the names of variables that are added."""

    def __init__(self, prefix: str, generator: random.Random) -> None:
        super().__init__()
        self._prefix = prefix
        self._generator = generator
        self._made = 0

    def _is_chosen(self) -> bool:
        return self._generator.random() < _HALF

    # Neighbours

    def block(self, block: s.Block) -> None:
        super().block(block)
        apart = [piece for statement in block.body for piece in self._parted(statement)]
        body: list[s.Statement] = []
        for statement in apart:
            if body and self._is_chosen() and (joined := _joined(body[-1], statement)) is not None:
                body[-1] = joined
            else:
                body.append(statement)
        block.body = body

    def _parted(self, node: s.Statement) -> list[s.Statement]:
        """One statement for each of the variables, where none of the values needs one that comes before."""
        if not isinstance(node, s.Local | s.Assign) or not _is_even(node) or not self._is_chosen():
            return [node]
        places = list(range(len(node.values)))
        if not _are_apart(_targets(node), node.values):
            return [node]
        self._generator.shuffle(places)
        return [_with(node, [place]) for place in places]

    # Statements

    def rewrite_local(self, node: s.Local) -> Replacement:
        super().rewrite_local(node)
        return self._with_named_part(node)

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        super().rewrite_assign(node)
        return self._with_named_part(node)

    def _with_named_part(self, node: s.Local | s.Assign) -> Replacement:
        """The statement after another that computes the left side of its value."""
        if len(node.values) != 1 or not self._is_chosen():
            return node
        value = node.values[0]
        if (
            not isinstance(value, s.Binary)
            or value.operator not in _ARITHMETIC
            or not isinstance(value.left, s.Binary | s.Group)
        ):
            return node
        name, line = self._fresh(), node.line
        part = s.Local([s.Binding(name, line)], [value.left], False, False, line)
        value.left = s.Name(name, line)
        return [part, node]

    def rewrite_if(self, node: s.If) -> Replacement:
        super().rewrite_if(node)
        if len(node.clauses) > 1 and self._is_chosen():
            first, *others = node.clauses
            node = s.If([first], s.Block([s.If(others, node.otherwise, node.line)], node.line), node.line)
        if len(node.clauses) > 1 or not self._is_chosen():
            return node
        ((condition, block),) = node.clauses
        if node.otherwise is not None and node.otherwise.body:
            return s.If([(_negated(condition), node.otherwise)], block, node.line)
        if block.body and not any(contents(one)[1] & _JUMPS for one in block.body):
            return s.While(condition, s.Block([*block.body, s.Break(node.line)], node.line), node.line)
        return node

    def rewrite_while(self, node: s.While) -> Replacement:
        super().rewrite_while(node)
        if isinstance(node.condition, s.TrueValue) or not self._is_chosen():
            return node
        leave = s.If([(_negated(node.condition), s.Block([s.Break(node.line)], node.line))], None, node.line)
        return s.While(s.TrueValue(node.line), s.Block([leave, *node.body.body], node.line), node.line)

    def rewrite_repeat(self, node: s.Repeat) -> Replacement:
        super().rewrite_repeat(node)
        if not self._is_chosen():
            return node
        leave = s.If([(node.condition, s.Block([s.Break(node.line)], node.line))], None, node.line)
        return s.While(s.TrueValue(node.line), s.Block([*node.body.body, leave], node.line), node.line)

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        super().rewrite_numeric_for(node)
        if node.step is not None or not self._is_chosen():
            return node
        line, name = node.line, node.binding.name
        limit = self._fresh()
        counter = s.Local([s.Binding(name, line), s.Binding(limit, line)], [node.start, node.limit], False, False, line)
        step = s.Assign([s.Name(name, line)], [s.Binary("+", s.Name(name, line), _one(line), line)], line)
        goes_on = s.Binary("<=", s.Name(name, line), s.Name(limit, line), line)
        body = s.Block([s.Do(node.body, line), step], line) if node.body.body else s.Block([step], line)
        return s.Do(s.Block([counter, s.While(goes_on, body, line)], line), line)

    def _fresh(self) -> str:
        self._made += 1
        return f"{self._prefix}{self._made}"

    # Expressions

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        super().rewrite_binary(node)
        if not self._is_chosen():
            return node
        if node.operator in TURNED:
            return s.Binary(TURNED[node.operator], node.right, node.left, node.line)
        if node.operator == "-" and not _has_order(node.left, node.right):
            return s.Binary("+", s.Unary("-", _operand(node.right), node.line), node.left, node.line)
        if node.operator in ("+", "*") and not _has_order(node.left, node.right):
            return s.Binary(node.operator, _operand(node.right), _operand(node.left), node.line)
        return node


def _operand(node: s.Expression) -> s.Expression:
    return s.Group(node, node.line) if isinstance(node, s.Binary) else node


def _one(line: int) -> s.Number:
    return s.Number("1", 1.0, line)


def _has_order(*nodes: s.Expression) -> bool:
    return sum(bool(contents(node)[1] & _IMPURE) for node in nodes) > 1


def _negated(node: s.Expression) -> s.Expression:
    while isinstance(node, s.Group):
        node = node.value
    if isinstance(node, s.Unary) and node.operator == "not":
        return node.operand
    if isinstance(node, s.Binary) and node.operator in _NEGATED:
        return s.Binary(_NEGATED[node.operator], node.left, node.right, node.line)
    return s.Unary("not", s.Group(node, node.line), node.line)


def _is_even(node: s.Local | s.Assign) -> bool:
    return len(node.values) == len(_targets(node)) > 1


def _targets(node: s.Local | s.Assign) -> Sequence[s.Binding | s.Expression]:
    return node.bindings if isinstance(node, s.Local) else node.targets


def _with(node: s.Local | s.Assign, places: Iterable[int]) -> s.Statement:
    kept = list(places)
    values = [node.values[place] for place in kept]
    if isinstance(node, s.Local):
        return s.Local([node.bindings[place] for place in kept], values, node.is_const, node.is_exported, node.line)
    return s.Assign([node.targets[place] for place in kept], values, node.line)


def _joined(one: s.Statement, other: s.Statement) -> s.Statement | None:
    """Both as one, if the order does not matter."""
    if (
        type(one) is not type(other)
        or not isinstance(one, s.Local | s.Assign)
        or not isinstance(other, s.Local | s.Assign)
    ):
        return None
    if len(one.values) != len(_targets(one)) or len(other.values) != len(_targets(other)):
        return None
    targets, values = [*_targets(one), *_targets(other)], [*one.values, *other.values]
    if len(targets) > _MOST_JOINED or not _are_apart(targets, values):
        return None
    if isinstance(one, s.Local) and isinstance(other, s.Local):
        return s.Local([*one.bindings, *other.bindings], values, one.is_const, one.is_exported, one.line)
    if isinstance(one, s.Assign) and isinstance(other, s.Assign):
        return s.Assign([*one.targets, *other.targets], values, one.line)
    return None


def _are_apart(targets: Sequence[s.Binding | s.Expression], values: Sequence[s.Expression]) -> bool:
    """Whether the values may be computed in any order, before or after any of the targets has its own."""
    if not all(isinstance(target, s.Binding | s.Name) for target in targets):
        return False
    names = {target.name for target in targets if isinstance(target, s.Binding | s.Name)}
    if len(names) < len(targets):
        return False
    for value in values:
        mentioned, kinds, _ = contents(value)
        if kinds & _IMPURE or any(one.name in names for one in mentioned):
            return False
    return True


def phrase(statements: Iterable[s.Statement], names: Iterable[str], prefix: str, generator: random.Random) -> None:
    """Say the functions anew that are the values of those names."""
    wanted = set(names)
    phrasing = Phrasing(prefix, generator)
    for statement in statements:
        if isinstance(statement, s.Local) and any(binding.name in wanted for binding in statement.bindings):
            phrasing.expressions(statement.values)

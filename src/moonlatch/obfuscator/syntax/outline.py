"""A tree as a row of nodes, in the order of its text, without what renaming and formatting change: what two texts are compared by.

Names of variables, parentheses, spaces, ways to write a literal and the side of a comparison that its literal is on are not in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.choices import number_of, spellings
from moonlatch.obfuscator.syntax.comparisons import TURNED, is_literal_of
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.template import SHORTEST_TEXT

NO_ORDER: Mapping[s.Binding, int] = MappingProxyType({})


class Hole(NamedTuple):
    """Where a text has one of two values: what each of them is told by, as `exact` does."""

    first: Sequence[Hashable]
    second: Sequence[Hashable]


@dataclass(slots=True)
class Outline:
    """`kinds` says of each node what it is, `turned` which comparisons are written from their other side, `texts` what long literals have
    in them, which `kinds` tells by their length alone, `globals` the names that are no local variable's. `holes` are where choices
    are, by their node; a choice is one node, which tells the choice's number.
    """

    kinds: list[Hashable] = field(default_factory=list)
    turned: dict[int, bool] = field(default_factory=dict)
    texts: dict[int, bytes] = field(default_factory=dict)
    globals: dict[int, str] = field(default_factory=dict)
    holes: dict[int, tuple[int, Hole]] = field(default_factory=dict)
    turns: dict[int, int] = field(default_factory=dict)
    """Of comparisons that may be turned round the number of the choice; they are nodes like any other."""

    def exact(self) -> list[Hashable]:
        """Of each node what it is, with the names of globals and what is in long literals."""
        nodes = self.kinds.copy()
        for at, name in self.globals.items():
            nodes[at] = ("global", name)
        for at, text in self.texts.items():
            nodes[at] = ("String", text)
        return nodes


def outline_of(root: s.Node, order: Mapping[s.Binding, int] = NO_ORDER, marker: str = "") -> Outline:
    """That of a tree whose names are resolved; `order` is that of its variables, by which `==` of two is the same from either side.

    A call of the global `marker` is a choice too: of two values, by a number.
    """
    outline = Outline()
    pending: list[s.Node] = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, s.Expression):
            node = unwrapped(node)
        hole = _hole(node, marker)
        if hole is not None:
            number, first, second = hole
            spelling = Hole(exact_nodes(first, order), exact_nodes(second, order))
            if spelling.first == spelling.second and isinstance(unwrapped(first), s.Binary):
                outline.turns[len(outline.kinds)] = number
                pending.append(first)
                continue
            outline.holes[len(outline.kinds)] = number, spelling
            outline.kinds.append(("choice", number))
            continue
        kind, inner = _told(node, outline, order)
        outline.kinds.append(kind)
        pending += reversed(inner)
    outline.turns = {at: number for at, number in outline.turns.items() if at in outline.turned}
    return outline


def exact_nodes(root: s.Node, order: Mapping[s.Binding, int] = NO_ORDER) -> list[Hashable]:
    """What a piece of a tree is told by, whatever its variables are called."""
    return outline_of(root, order).exact()


def _hole(node: s.Node, marker: str) -> tuple[int, s.Expression, s.Expression] | None:
    if isinstance(node, s.IfExpression):
        both = spellings(node)
        return None if both is None else (number_of(node), *both)
    if marker and isinstance(node, s.Call) and isinstance(node.function, s.Name) and node.function.name == marker:
        first, second, number = node.arguments
        assert isinstance(number, s.Number)
        return int(number.value), first, second
    return None


def _told(node: s.Node, outline: Outline, order: Mapping[s.Binding, int]) -> tuple[Hashable, Sequence[s.Node]]:
    name = type(node).__name__
    match node:
        case s.Binary():
            return _binary(node, outline, order)
        case s.String():
            if len(node.value) < SHORTEST_TEXT:
                return (name, node.value), ()
            outline.texts[len(outline.kinds)] = node.value
            return (name, len(node.value)), ()
        case s.Number() | s.Integer():
            return (name, node.value), ()
        case s.Name():
            if node.binding is None:
                outline.globals[len(outline.kinds)] = node.name
            return (name,), ()
        case s.IndexName():
            return ("Index",), [node.object, s.String(node.name.encode(), node.line)]
        case s.NamedItem():
            return ("KeyedItem",), [s.String(node.name.encode(), node.line), node.value]
        case s.MethodCall():
            return (name, node.name), [node.object, *node.arguments]
        case s.Unary():
            return (name, node.operator), [node.operand]
        case s.CompoundAssign():
            return (name, node.operator), [node.target, node.value]
        case s.InterpolatedString():
            return (name, *node.parts), node.values
        case s.If() | s.IfExpression():
            parts: list[s.Node] = [part for clause in node.clauses for part in clause]
            return (name, len(parts)), [*parts, node.otherwise] if node.otherwise is not None else parts
        case _:
            return (name, *_counts(node)), _inner(node)


def _binary(node: s.Binary, outline: Outline, order: Mapping[s.Binding, int]) -> tuple[Hashable, Sequence[s.Node]]:
    """A comparison is the same from either side."""
    operator = node.operator
    if operator in _BACKWARDS:
        outline.turned[len(outline.kinds)] = True
        return ("Binary", TURNED[operator]), [node.right, node.left]
    if operator in ("==", "~="):
        is_turned = _is_turned_equality(node, order)
        if is_turned is not None:
            outline.turned[len(outline.kinds)] = is_turned
            if is_turned:
                return ("Binary", operator), [node.right, node.left]
    elif operator in TURNED:
        outline.turned[len(outline.kinds)] = False
    return ("Binary", operator), [node.left, node.right]


_BACKWARDS = (">", ">=")


def _is_turned_equality(node: s.Binary, order: Mapping[s.Binding, int]) -> bool | None:
    """Whether `==` has its literal, or the later of two variables, on the left; None where neither side can be told."""
    left, right = (_is_literal(one, node.operator) for one in (node.left, node.right))
    if left != right:
        return left
    one, other = (_place(side, order) for side in (node.left, node.right))
    return None if one is None or other is None or one == other else one > other


def _place(node: s.Expression, order: Mapping[s.Binding, int]) -> int | None:
    node = unwrapped(node)
    return order.get(node.binding) if isinstance(node, s.Name) and node.binding is not None else None


def _is_literal(node: s.Expression, operator: str) -> bool:
    """Also one that has two spellings."""
    node = unwrapped(node)
    both = spellings(node)
    return is_literal_of(node, operator) if both is None else all(is_literal_of(one, operator) for one in both)


def _fields(node: s.Node) -> list[object]:
    names: Iterable[str] = node.__slots__
    return [getattr(node, name) for name in names if name not in _NAMES]


_NAMES = frozenset({"name", "binding", "bindings", "parameters", "line", "end_line", "attributes"})
"""What renaming and formatting change."""


def _counts(node: s.Node) -> list[int]:
    """How many of each there are in lists: without them, two trees could be told in the same words."""
    return [len(value) for value in _fields(node) if isinstance(value, list)]


def _inner(node: s.Node) -> list[s.Node]:
    inner: list[s.Node] = []
    for value in _fields(node):
        if isinstance(value, s.Node):
            inner.append(value)
        elif isinstance(value, list):
            inner += value
    return inner

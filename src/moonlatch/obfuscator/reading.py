"""Reads from a leaked text which spelling each place of a template has in it, as far as it is still there.

Both texts are parsed and compared as trees without names of variables, parentheses, spaces and ways to write a literal: so neither
a renamer nor a formatter takes a place away. What was changed or left out is missing, and nothing else is; pieces may stand
anywhere in the leak, in whatever order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.comparisons import TURNED, is_literal_of, is_turnable
from moonlatch.obfuscator.syntax.parser import collector_at_rest, parse
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.template import SHORTEST_TEXT, Copier, Template

_WINDOW = 8
"""So many nodes in a row that stand once in each text are the same place in both."""


@dataclass(slots=True)
class _Outline:
    """A tree in the order of its text. `kinds` says of each node what it is, `turned` which comparisons have their literal on
    the left, `texts` what long literals have in them, which `kinds` tells by their length alone.
    """

    kinds: list[Hashable] = field(default_factory=list)
    turned: dict[int, bool] = field(default_factory=dict)
    texts: dict[int, bytes] = field(default_factory=dict)


def read(template: Template, leaked: bytes) -> list[int | None]:
    """Of each place 0 for its first spelling, 1 for its second, None where it cannot be told.

    Raises LuauSyntaxError when what leaked is no script.
    """
    with collector_at_rest():
        leak = _outline(parse(leaked))
        first, second = (_whole(template, second=second) for second in (False, True))
        found: list[int | None] = [None] * len(template.places)
        same = _alignment(first.kinds, leak.kinds)
        comparisons = (node for node, is_turned in first.turned.items() if is_turned != second.turned[node])
        texts = [node for node, text in first.texts.items() if text != second.texts[node]]
        for index, place in enumerate(template.places):
            node = texts[place.text - 1] if place.text else next(comparisons)
            here = same.get(node)
            if here is None:
                continue
            if place.text:
                part = slice(place.at, place.at + place.size)
                both = first.texts[node][part], second.texts[node][part]
                has = leak.texts[here][part]
                found[index] = both.index(has) if has in both else None
            else:
                found[index] = int(leak.turned[here] != first.turned[node])
        return found


def _whole(template: Template, *, second: bool) -> _Outline:
    return _outline(parse(Copier(template).text([second] * len(template.places))))


def _outline(chunk: s.Chunk) -> _Outline:
    outline = _Outline()
    pending: list[s.Node] = [chunk.body]
    while pending:
        node = pending.pop()
        if isinstance(node, s.Expression):
            node = unwrapped(node)
        kind, inner = _told(node, outline)
        outline.kinds.append(kind)
        pending += reversed(inner)
    return outline


def _told(node: s.Node, outline: _Outline) -> tuple[Hashable, Sequence[s.Node]]:
    name = type(node).__name__
    match node:
        case s.Binary():
            return _comparison(node, outline) if is_turnable(node) else ((name, node.operator), [node.left, node.right])
        case s.String():
            if len(node.value) < SHORTEST_TEXT:
                return (name, node.value), ()
            outline.texts[len(outline.kinds)] = node.value
            return (name, len(node.value)), ()
        case s.Number() | s.Integer():
            return (name, node.value), ()
        case s.Index() if isinstance(key := unwrapped(node.key), s.String):
            return ("field", key.value), [node.object]
        case s.IndexName():
            return ("field", node.name.encode()), [node.object]
        case s.KeyedItem() if isinstance(key := unwrapped(node.key), s.String):
            return ("item", key.value), [node.value]
        case s.NamedItem():
            return ("item", node.name.encode()), [node.value]
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


def _comparison(node: s.Binary, outline: _Outline) -> tuple[Hashable, Sequence[s.Node]]:
    """The same whichever side the literal is on."""
    is_turned = is_literal_of(node.left, node.operator)
    outline.turned[len(outline.kinds)] = is_turned
    if is_turned:
        return ("comparison", TURNED[node.operator]), [node.right, node.left]
    return ("comparison", node.operator), [node.left, node.right]


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


def _alignment(ours: list[Hashable], theirs: list[Hashable]) -> dict[int, int]:
    """Which node of theirs each of ours is, of those that can be told.

    Windows that stand once in each text are the same place; from there it goes on in both directions as long as both agree.
    """
    if ours == theirs:
        return {index: index for index in range(len(ours))}
    numbers: dict[Hashable, int] = {}
    mine, other = ([numbers.setdefault(kind, len(numbers)) for kind in kinds] for kinds in (ours, theirs))
    known, there = _windows(mine), _windows(other)
    same: dict[int, int] = {}
    for window, here in known.items():
        place = there.get(window, -1)
        if here < 0 or place < 0 or same.get(here) == place:
            continue
        for step in (1, -1):
            one, two = here, place
            while 0 <= one < len(mine) and 0 <= two < len(other) and mine[one] == other[two]:
                if same.get(one) == two and one != here:
                    break
                same.setdefault(one, two)
                one, two = one + step, two + step
    return same


def _windows(kinds: list[int]) -> dict[tuple[int, ...], int]:
    """Where each window begins, -1 for those that are there more than once."""
    found: dict[tuple[int, ...], int] = {}
    for index, window in enumerate(zip(*(kinds[start:] for start in range(_WINDOW)), strict=False)):
        found[window] = -1 if window in found else index
    return found

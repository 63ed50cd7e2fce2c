"""What somebody who watches the protector is told: each step as it begins and ends, and what the tree then holds.

There is no clock here: whoever watches has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Any, Protocol

from moonlatch.obfuscator.syntax import tree as s

_KINDS: tuple[tuple[str, tuple[type[s.Node], ...]], ...] = (
    ("statements", (s.Statement,)),
    ("functions", (s.Function,)),
    ("calls", (s.Call, s.MethodCall)),
    ("variables", (s.Binding,)),
    ("names", (s.Name,)),
    ("fields", (s.IndexName, s.NamedItem, s.MethodCall)),
    ("strings", (s.String, s.InterpolatedString)),
    ("numbers", (s.Number, s.Integer)),
    ("type marks", (s.TypeAssertion, s.Instantiation, s.TypeAlias, s.TypeFunction)),
)


class Observer(Protocol):
    """Called while a script is protected. It slows that down by as long as it takes itself, and can change nothing."""

    def began_anew(self) -> None:
        """A script is begun, or begun again because the first attempt had no room for everything."""
        ...

    def began(self, step: str) -> None: ...

    def ended(self, step: str) -> None: ...

    def result(self, step: str, counts: Counter[str] | None, text: Callable[[], str] | None) -> None:
        """What there is after the step: how many of each kind of thing, and the script as it would be printed now."""
        ...


@contextmanager
def observed(observer: Observer | None, step: str) -> Iterator[None]:
    """Tell of the block as one step. A step that raises does not end."""
    if observer is not None:
        observer.began(step)
    yield
    if observer is not None:
        observer.ended(step)


def census(chunk: s.Chunk) -> Counter[str]:
    """How many things of each kind a tree holds."""
    counts: Counter[str] = Counter()
    variable_names = set()
    waiting: list[object] = [chunk]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, s.Node):
            node: Any = type(item)
            for kind in _kinds(node):
                counts[kind] += 1
            if isinstance(item, s.Binding):
                variable_names.add(item.name)
            # A name's binding stands elsewhere in the tree.
            if not isinstance(item, s.Name):
                waiting += [getattr(item, name) for name in _children(node)]
    counts["different variable names"] = len(variable_names)
    return counts


@cache
def _kinds(node: Any) -> tuple[str, ...]:
    return tuple(kind for kind, classes in _KINDS if issubclass(node, classes))


@cache
def _children(node: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(node))

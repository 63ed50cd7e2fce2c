"""Reads the first values of a function's `...` before anything else in it, into locals that take the place of later reads.

LuaJIT on 64 bits compiled a read of a fixed number of them wrongly until July 2022 (commit 6bda30d8; Debian 12 and Ubuntu
22.04 have older ones) where a trace begins in the function itself: in a loop there, or after a call. Passes put both in
front of reads that had neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set as AbstractSet

from moonlatch.obfuscator.analysis.capacity import Capacity
from moonlatch.obfuscator.analysis.scopes import Resolution
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import InFunctions, Replacement, Rewriter
from moonlatch.obfuscator.target import Target

_GENERIC_FOR_VALUES = 3


def read_arguments_first(chunk: s.Chunk, resolution: Resolution, target: Target, sealed: set[s.Function]) -> bool:
    """True when the chunk has changed; then its names are to be resolved anew.

    A function without room for the locals stays as it is: passes have no room in it either.
    """
    if target is not Target.LUA51 or not any(frame.uses_varargs for frame in resolution.frames):
        return False
    reads = _Reads(sealed)
    reads.chunk(chunk)
    capacity = Capacity(resolution, target)
    name = resolution.fresh_name("given")
    has_changed = False
    for function in reads.most:
        count = reads.most[function]
        if count <= capacity.spare_locals(function):
            reads.replace(function, [f"{name}{number}" for number in range(1, count + 1)], chunk)
            has_changed = True
    return has_changed


def is_first_read(statement: s.Statement) -> bool:
    """`local a, b = ...`, which has to stay in front of what a function does."""
    return isinstance(statement, s.Local) and len(statement.values) == 1 and isinstance(statement.values[0], s.Varargs)


class _Reads(InFunctions):
    """Finds the reads of a fixed number of values: `most` has the largest number of each function that has such a read."""

    def __init__(self, sealed: AbstractSet[s.Function]) -> None:
        super().__init__(sealed)
        self.most: dict[s.Function | None, int] = {}
        self._single: dict[s.Function | None, set[s.Varargs]] = defaultdict(set)
        self._tails: dict[s.Function | None, list[tuple[list[s.Expression], int]]] = defaultdict(list)
        self._first: set[s.Statement] = set()

    def replace(self, function: s.Function | None, names: list[str], chunk: s.Chunk) -> None:
        body = chunk.body if function is None else function.body
        line = body.line
        for values, count in self._tails[function]:
            values[-1:] = [s.Name(name, line) for name in names[:count]]
        _Replacer(self._single[function], names[0]).block(body)
        bindings = [s.Binding(name, line) for name in names]
        body.body.insert(0, s.Local(bindings, [s.Varargs(line)], is_const=False, is_exported=False, line=line))

    def _found(self, count: int) -> None:
        self.most[self.current] = max(count, self.most.get(self.current, 0))

    def chunk(self, chunk: s.Chunk) -> None:
        self._first.update(chunk.body.body[:1])
        super().chunk(chunk)

    def function(self, function: s.Function) -> None:
        self._first.update(function.body.body[:1])
        super().function(function)

    def rewrite_varargs(self, node: s.Varargs) -> s.Expression:
        self._found(1)
        self._single[self.current].add(node)
        return node

    # What takes all values, if they come last

    def _open(self, values: list[s.Expression]) -> None:
        self.expressions(values[:-1] if values and isinstance(values[-1], s.Varargs) else values)

    def rewrite_call(self, node: s.Call) -> s.Expression:
        self.expression(node.function)
        self._open(node.arguments)
        return node

    def rewrite_method_call(self, node: s.MethodCall) -> s.Expression:
        self.expression(node.object)
        self._open(node.arguments)
        return node

    def rewrite_return(self, node: s.Return) -> Replacement:
        self._open(node.values)
        return node

    def rewrite_table(self, node: s.Table) -> s.Expression:
        last = node.items[-1] if node.items else None
        is_open = isinstance(last, s.PositionalItem) and isinstance(last.value, s.Varargs)
        super().rewrite_table(s.Table(node.items[:-1], node.line) if is_open else node)
        return node

    # What takes some

    def _take(self, values: list[s.Expression], targets: int) -> None:
        count = targets - len(values) + 1
        if not values or not isinstance(values[-1], s.Varargs) or count < 1:
            self.expressions(values)
            return
        self.expressions(values[:-1])
        self._found(count)
        self._tails[self.current].append((values, count))

    def rewrite_local(self, node: s.Local) -> Replacement:
        if not (node in self._first and is_first_read(node)):
            self._take(node.values, len(node.bindings))
        return node

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        self.expressions(node.targets)
        self._take(node.values, len(node.targets))
        return node

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        self._take(node.values, _GENERIC_FOR_VALUES)
        self.block(node.body)
        return node


class _Replacer(Rewriter):
    """Puts the first argument's name in place of single reads."""

    def __init__(self, reads: set[s.Varargs], name: str) -> None:
        super().__init__()
        self._reads = reads
        self._name = name

    def rewrite_varargs(self, node: s.Varargs) -> s.Expression:
        return s.Name(self._name, node.line) if node in self._reads else node

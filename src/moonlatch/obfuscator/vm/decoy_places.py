"""Finds what decoys can be made of in a script, and where they can stand. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import AnyLoop, AroundLoops, InFunctions, Replacement
from moonlatch.obfuscator.transform.unit import Unit
from moonlatch.obfuscator.vm.decoy_bodies import LONGEST_TEXT, SPELLED, Vocabulary


@dataclass(slots=True, eq=False)
class Host:
    """A block, that of a whole function or of the chunk, which decoys can be put into.

    `home` is the innermost block around it, or the block itself, that runs once, and `top` which of that block's statements it is in.
    """

    function: s.Function | None
    block: s.Block
    home: s.Block
    top: int

    @property
    def is_home(self) -> bool:
        return self.block is self.home

    @property
    def last(self) -> int:
        """The last place in the block that something can be put at."""
        body = self.block.body
        return len(body) - (bool(body) and isinstance(body[-1], s.Return | s.Break | s.Continue))


class Finder(AroundLoops, InFunctions):
    """Finds what decoys are made of, and where they can stand."""

    def __init__(self, unit: Unit, native: Collection[s.Function]) -> None:
        super().__init__(set(native) | unit.sealed)
        self.models: list[s.Function] = []
        """Functions that run seldom, without loops."""
        self.hosts: list[Host] = []
        self.vocabulary = Vocabulary()
        self.size = 0
        self._hot = unit.hot
        self._loops = 0
        """What no model may have in it, as far as it was visited."""
        self._leaves = 0
        self._hidden = 0
        """Hot functions, and loops, around what is visited."""
        self._called: set[s.Function] = set()
        """Functions that are called where they stand, and stand where code runs once."""
        self._home = s.Block([], s.NO_LINE)
        self._top = 0

    def chunk(self, chunk: s.Chunk) -> None:
        self._enter_home(None, chunk.body)
        self.vocabulary.last_line = max((statement.line for statement in chunk.body.body), default=1)

    def _enter_home(self, function: s.Function | None, block: s.Block) -> None:
        outer = self._home, self._top
        self._home = block
        self._find_called(block)
        self.hosts.append(Host(function, block, block, 0))
        visit = self._statements.get
        for place, statement in enumerate(block.body):
            self._top = place
            rewrite = visit(type(statement))
            if rewrite is not None:
                rewrite(self, statement)
        self._home, self._top = outer

    def _enter(self, function: s.Function) -> None:
        # What is left alone is no model, and so nothing is that it stands in.
        self._loops += function in self._sealed
        super()._enter(function)

    def function(self, function: s.Function) -> None:
        is_hot = function in self._hot
        self._hidden += is_hot
        loops, leaves, self._leaves = self._loops, self._leaves, 0
        if function in self._called and not self._hidden:
            outer, self.current = self.current, function
            self._enter_home(function, function.body)
            self.current = outer
        else:
            if not self._hidden and function.body.body:
                self.hosts.append(Host(function, function.body, self._home, self._top))
            super().function(function)
        if not is_hot and loops == self._loops and function.body.body:
            self.models.append(function)
            self.size += self._leaves
        self._leaves = leaves
        self._hidden -= is_hot

    def _find_called(self, block: s.Block) -> None:
        for statement in block.body:
            match statement:
                case s.CallStatement(call=s.Call(function=s.Group(value=s.Function() as function))):
                    self._called.add(function)
                case s.Return(values=values) | s.Local(values=values):
                    for value in values:
                        match value:
                            case s.Call(function=s.Group(value=s.Function() as function)):
                                self._called.add(function)

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        self._loops += 1
        self._hidden += 1
        replacement = rewrite(node)
        self._hidden -= 1
        return replacement

    # Words

    def rewrite_name(self, node: s.Name) -> s.Expression:
        self._leaves += 1
        return node

    def rewrite_string(self, node: s.String) -> s.Expression:
        self._leaves += 1
        if 0 < len(node.value) <= LONGEST_TEXT:
            self.vocabulary.texts[node.value] = None
        return node

    def rewrite_number(self, node: s.Number) -> s.Expression:
        self._leaves += 1
        if not node.is_kept and node.value not in SPELLED:
            self.vocabulary.numbers[node.text] = node.value
        return node

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        self._leaves += 1
        if not isinstance(node.object, s.Name) or node.object.binding is not None:
            self.vocabulary.fields[node.name] = None
        return super().rewrite_index_name(node)

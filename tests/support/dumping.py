"""An attack on a build: at one place of its text, everything that is in scope there is walked through and every string noted."""

from __future__ import annotations

from collections.abc import Iterator

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse
from moonlatch.obfuscator.syntax.printer import print_chunk

PRELUDE = """
local noted = {}
local function walk(value, depth)
    if type(value) == "string" then noted[value] = true
    elseif type(value) == "table" and depth < 12 then for key, item in next, value do walk(key, depth + 1) walk(item, depth + 1) end end
end
function dump(...) for index = 1, select("#", ...) do walk((select(index, ...)), 0) end end
function dumped(...)
    local found = 0
    for index = 1, select("#", ...) do if noted[(select(index, ...))] then found = found + 1 end end
    return found
end
"""


def places(build: str, step: int = 1) -> Iterator[str]:
    """The build with a call of `dump` at every `step`th place in turn where a block begins or a value has just been declared."""
    count = _Dumper(-1).through(parse(build))
    for number in range(0, count, step):
        chunk = parse(build)
        _Dumper(number).through(chunk)
        yield print_chunk(chunk)


class _Dumper:
    """Walks a tree with the names that are in scope, and puts the call at the place of one number."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._count = 0

    def through(self, chunk: s.Chunk) -> int:
        self._block(chunk.body, [])
        return self._count

    def _block(self, block: s.Block, outer: list[str]) -> None:
        names = list(outer)
        body: list[s.Statement] = []
        self._place(body, names)
        for statement in block.body:
            self._statement(statement, names)
            body.append(statement)
            if isinstance(statement, s.Local | s.LocalFunction):
                self._place(body, names)
        block.body = body

    def _place(self, body: list[s.Statement], names: list[str]) -> None:
        if self._count == self._wanted:
            visible: list[s.Expression] = [s.Name(name, 1) for name in dict.fromkeys(reversed(names))]
            body.append(s.CallStatement(s.Call(s.Name("dump", 1), visible, 1), 1))
        self._count += 1

    def _statement(self, node: s.Statement, names: list[str]) -> None:
        match node:
            case s.Local():
                self._expressions(node.values, names)
                names += [binding.name for binding in node.bindings]
            case s.LocalFunction():
                names.append(node.binding.name)
                self._function(node.function, names)
            case s.Assign():
                self._expressions(node.values, names)
            case s.Return():
                self._expressions(node.values, names)
            case s.CallStatement():
                self._expressions([node.call], names)
            case s.Do():
                self._block(node.body, names)
            case s.While() | s.Repeat():
                self._block(node.body, names)
            case s.NumericFor():
                self._block(node.body, [*names, node.binding.name])
            case s.GenericFor():
                self._block(node.body, [*names, *(binding.name for binding in node.bindings)])
            case s.If():
                for _, block in node.clauses:
                    self._block(block, names)
                if node.otherwise is not None:
                    self._block(node.otherwise, names)

    def _expressions(self, nodes: list[s.Expression], names: list[str]) -> None:
        for node in nodes:
            match node:
                case s.Function():
                    self._function(node, names)
                case s.Group():
                    self._expressions([node.value], names)
                case s.Call():
                    self._expressions([node.function, *node.arguments], names)

    def _function(self, node: s.Function, names: list[str]) -> None:
        self._block(node.body, [*names, *(parameter.name for parameter in node.parameters)])

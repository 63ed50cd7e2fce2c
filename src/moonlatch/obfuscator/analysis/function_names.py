"""What a script's functions are called in its source, and which lines their statements stand on."""

from __future__ import annotations

from moonlatch.obfuscator.line_map import FunctionLines
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter


def function_lines(chunk: s.Chunk) -> list[FunctionLines]:
    """Every function that has statements, in the order of the first ones' lines, outer before inner."""
    finder = _Finder()
    finder.chunk(chunk)
    return sorted(finder.found, key=lambda one: (one.first, -one.last))


def function_names(chunk: s.Chunk) -> dict[s.Function, str]:
    """What each function is called, `""` for one without a name."""
    finder = _Finder()
    finder.chunk(chunk)
    return finder.names


class _Finder(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[FunctionLines] = []
        self.names: dict[s.Function, str] = {}
        self._name = ""

    def function(self, function: s.Function) -> None:
        name, self._name = self._name, ""
        self.names[function] = name
        body = function.body.body
        if body:
            # The line of an `end` is the function's where a statement stands there, too; else it may be that of a call around it.
            last = function.end_line if function.end_line <= body[-1].line else function.end_line - 1
            self.found.append(FunctionLines(body[0].line, max(last, body[-1].line), name))
        super().function(function)

    def _named(self, name: str, value: s.Expression) -> s.Expression:
        if isinstance(value, s.Function):
            self._name = name
        return self.expression(value)

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        self._name = node.binding.name
        self.function(node.function)
        return node

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        name = _spelt(node.target)
        if node.is_method:
            name = ":".join(name.rsplit(".", 1))
        self._name = name
        self.function(node.function)
        return node

    def rewrite_local(self, node: s.Local) -> Replacement:
        for place, value in enumerate(node.values):
            self._named(node.bindings[place].name if place < len(node.bindings) else "", value)
        return node

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        self.expressions(node.targets)
        for place, value in enumerate(node.values):
            self._named(_spelt(node.targets[place]) if place < len(node.targets) else "", value)
        return node

    def rewrite_table(self, node: s.Table) -> s.Expression:
        for item in node.items:
            if isinstance(item, s.KeyedItem):
                self.expression(item.key)
                key = item.key
                self._named(key.value.decode("latin-1") if isinstance(key, s.String) else "", item.value)
            else:
                self._named(item.name if isinstance(item, s.NamedItem) else "", item.value)
        return node


def _spelt(node: s.Expression) -> str:
    """A variable or a chain of fields as the source has it; of anything else, what follows it."""
    names: list[str] = []
    while True:
        if isinstance(node, s.Name):
            names.append(node.name)
            break
        if isinstance(node, s.IndexName):
            names.append(node.name)
        elif isinstance(node, s.Index) and isinstance(node.key, s.String):
            names.append(node.key.value.decode("latin-1"))
        else:
            break
        node = node.object
    return ".".join(reversed(names))

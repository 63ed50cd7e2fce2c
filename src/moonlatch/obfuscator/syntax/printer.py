"""Turns a syntax tree into the tightest text that parses back to it: ASCII, no types, no comments.

It never changes a meaning: parentheses stay where they truncate to one value, and `;` where a call could begin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.printer_expressions import WRAPPERS, ExpressionPrinter, unwrapped
from moonlatch.obfuscator.target import Target

__all__ = ["Printer", "print_chunk", "print_with_lines", "unwrapped"]

_SELF_CONTAINED = (s.Do, s.While, s.NumericFor, s.GenericFor, s.If, s.LocalFunction, s.FunctionDeclaration)
_WITH_OBJECT = (s.IndexName, s.Index, s.MethodCall)
_TYPES = (s.TypeAlias, s.TypeFunction)


def print_chunk(chunk: s.Chunk, target: Target = Target.LUAU) -> str:
    """The chunk as one line of text. The caller has made sure that `target` has every construct in it."""
    printer = Printer(target, has_lines=False)
    printer.block(chunk.body)
    return printer.text()


def print_with_lines(chunk: s.Chunk, target: Target) -> tuple[str, list[int]]:
    """The chunk as text of several lines, and for each of them the line of the source that all on it has, 0 for none.

    What stands on one line of the source stays on one line, and what does not does not: a host says of an error only its line.
    """
    printer = Printer(target, has_lines=True)
    printer.block(chunk.body)
    return printer.text(), printer.lines


class Printer(ExpressionPrinter):
    """Statements."""

    def block(self, block: s.Block) -> None:
        previous: s.Statement | None = None
        statements = self._statements
        for statement in block.body:
            if isinstance(statement, _TYPES):
                continue
            if (
                previous is not None
                and not isinstance(previous, _SELF_CONTAINED)
                and _begins_with_parenthesis(statement)
            ):
                self._mark(";")
            self._begin(statement.line)
            statements[type(statement)](self, statement)
            previous = statement

    def _bindings(self, bindings: list[s.Binding]) -> None:
        self._word(",".join([binding.name for binding in bindings]))

    def _local(self, node: s.Local) -> None:
        if node.is_exported:
            self._word("export")
        self._word("local")
        self._bindings(node.bindings)
        if node.values:
            self._mark("=")
            self._initial_values(node.values)

    def _initial_values(self, nodes: list[s.Expression]) -> None:
        """Parentheses around a function stay, for Luau takes a local that begins with a bare one for that function itself."""
        if not any(isinstance(node, WRAPPERS) and isinstance(unwrapped(node), s.Function) for node in nodes):
            self._list(nodes)
            return
        for position, node in enumerate(nodes):
            if position:
                self._mark(",")
            inner = unwrapped(node)
            if inner is not node and isinstance(inner, s.Function):
                self._parenthesised(inner)
            else:
                self._list([node]) if position == len(nodes) - 1 else self._expression(node)

    def _local_function(self, node: s.LocalFunction) -> None:
        self._attributes(node.function)
        self._word("export" if node.is_exported else "local")
        self._word("function")
        self._word(node.binding.name)
        self._function_rest(node.function, node.function.parameters)

    def _function_declaration(self, node: s.FunctionDeclaration) -> None:
        self._attributes(node.function)
        self._word("function")
        parameters = node.function.parameters
        if node.is_method and isinstance(node.target, s.IndexName):
            self._expression(node.target.object)
            self._mark(":")
            self._word(node.target.name)
            parameters = parameters[1:]
        else:
            self._expression(node.target)
        self._function_rest(node.function, parameters)

    def _assign(self, node: s.Assign) -> None:
        for position, target in enumerate(node.targets):
            if position:
                self._mark(",")
            self._expression(target)
        self._mark("=")
        self._list(node.values)

    def _compound_assign(self, node: s.CompoundAssign) -> None:
        self._expression(node.target)
        self._mark(node.operator + "=")
        self._expression(node.value)

    def _call_statement(self, node: s.CallStatement) -> None:
        self._expression(node.call)

    def _do(self, node: s.Do) -> None:
        self._word("do")
        self.block(node.body)
        self._word("end")

    def _while(self, node: s.While) -> None:
        self._word("while")
        self._expression(node.condition)
        self._do_body(node.body)

    def _do_body(self, body: s.Block) -> None:
        self._word("do")
        self.block(body)
        self._word("end")

    def _repeat(self, node: s.Repeat) -> None:
        self._word("repeat")
        self.block(node.body)
        self._word("until")
        self._expression(node.condition)

    def _numeric_for(self, node: s.NumericFor) -> None:
        self._word("for")
        self._word(node.binding.name)
        self._mark("=")
        self._expression(node.start)
        self._mark(",")
        self._expression(node.limit)
        if node.step is not None:
            self._mark(",")
            self._expression(node.step)
        self._do_body(node.body)

    def _generic_for(self, node: s.GenericFor) -> None:
        self._word("for")
        self._bindings(node.bindings)
        self._word("in")
        self._list(node.values)
        self._do_body(node.body)

    def _if(self, node: s.If) -> None:
        for position, (condition, block) in enumerate(node.clauses):
            self._word("elseif" if position else "if")
            self._expression(condition)
            self._word("then")
            self.block(block)
        if node.otherwise is not None:
            self._word("else")
            self.block(node.otherwise)
        self._word("end")

    def _return(self, node: s.Return) -> None:
        self._word("return")
        self._list(node.values)

    def _break(self, _: s.Break) -> None:
        self._word("break")

    def _continue(self, _: s.Continue) -> None:
        self._word("continue")

    _statements: ClassVar[dict[type[s.Statement], Callable[[Any, Any], None]]] = {
        s.Local: _local,
        s.LocalFunction: _local_function,
        s.FunctionDeclaration: _function_declaration,
        s.Assign: _assign,
        s.CompoundAssign: _compound_assign,
        s.CallStatement: _call_statement,
        s.Do: _do,
        s.While: _while,
        s.Repeat: _repeat,
        s.NumericFor: _numeric_for,
        s.GenericFor: _generic_for,
        s.If: _if,
        s.Return: _return,
        s.Break: _break,
        s.Continue: _continue,
    }


def _begins_with_parenthesis(statement: s.Statement) -> bool:
    if isinstance(statement, s.CallStatement):
        node: s.Expression = statement.call
    elif isinstance(statement, s.Assign):
        node = statement.targets[0]
    elif isinstance(statement, s.CompoundAssign):
        node = statement.target
    else:
        return False
    while True:
        if isinstance(node, _WITH_OBJECT):
            node = node.object
        elif isinstance(node, s.Call):
            node = node.function
        elif isinstance(node, WRAPPERS):
            node = node.value
        else:
            return not isinstance(node, s.Name)

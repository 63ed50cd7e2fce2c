"""Functions that stay Lua among compiled ones: how they reach the variables that the machine keeps."""

from __future__ import annotations

from collections.abc import Sequence

from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.rewriter import Replacement, Rewriter
from moonlatch.obfuscator.vm.names import Names
from moonlatch.obfuscator.vm.variables import Variables


def factory(function: s.Function, captures: Sequence[s.Binding], variables: Variables, names: Names) -> s.Function:
    """A function that takes what is captured, values and cells, and gives the closure. `function` becomes part of it."""
    parameters = {binding: f"{names.prefix}n{place}" for place, binding in enumerate(captures)}
    _Rebinder(parameters, variables).function(function)
    line = function.line
    bindings = [s.Binding(name, line) for name in parameters.values()]
    body = s.Block([s.Return([function], line)], line)
    return s.Function([], bindings, False, body, line, line)


class _Rebinder(Rewriter):
    """Turns every captured variable into a parameter of the factory, or what is in the cell that the parameter holds."""

    def __init__(self, parameters: dict[s.Binding, str], variables: Variables) -> None:
        super().__init__()
        self._parameters = parameters
        self._variables = variables

    def rewrite_name(self, node: s.Name) -> s.Expression:
        if node.binding is None or node.binding not in self._parameters:
            return node
        parameter = s.Name(self._parameters[node.binding], node.line)
        if not self._variables.is_cell(node.binding):
            return parameter
        return s.Index(parameter, s.Number("1", 1.0, node.line), node.line)

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        target = self.expression(node.target)
        self.function(node.function)
        if isinstance(target, s.Name | s.IndexName):
            node.target = target
            return node
        return s.Assign([target], [node.function], node.line)

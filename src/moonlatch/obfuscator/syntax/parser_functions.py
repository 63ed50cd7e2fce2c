"""Reads functions: parameters, body and `end`, wherever one is written."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from moonlatch.obfuscator.syntax import lexer, tree
from moonlatch.obfuscator.syntax.lexer import NAME, Tokens
from moonlatch.obfuscator.syntax.parser_attributes import AttributeParser
from moonlatch.obfuscator.syntax.parser_expressions import ExpressionParser
from moonlatch.obfuscator.syntax.parser_literals import LITERAL_READERS
from moonlatch.obfuscator.syntax.tree import Binding, Block, Expression


class FunctionParser(AttributeParser):
    """Functions; `loop_depth` and `function_depth` count what is around the statement being read."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.loop_depth = 0
        self.function_depth = 0

    @abstractmethod
    def block(self, depth: int) -> Block:
        """Reads the statements of a function's body, in a scope of their own."""

    def function(self, depth: int) -> Expression:
        self.index += 1
        return self.function_body(depth, self.index - 1)

    def attributed_function(self, depth: int) -> Expression:
        first = self.index
        attributes = self.attributes(depth)
        if self.kinds[self.index] != "function":
            found = self.describe(self.index)
            self.report_at(first, f"Expected 'function' declaration after attribute, but got {found} instead")
            return self.placeholder(self.tokens.starts[first], self.tokens.end(first))
        self.index += 1
        return self.function_body(depth, self.index - 1, attributes=attributes)

    def function_body(
        self,
        depth: int,
        opening: int,
        *,
        column_of: int = -1,
        attributes: list[tree.Attribute] | None = None,
        is_method: bool = False,
        local_name: str = "",
        is_const: bool = False,
    ) -> tree.Function:
        """Reads parameters, block and `end`; token `opening` is the `function`, indented like token `column_of`.

        `local_name` is the name the function is declared under as a local, visible in its own body.
        """
        kinds = self.kinds
        if kinds[self.index] == "<":
            self.generics(depth, with_defaults=False)
        parenthesis = self.index
        if kinds[parenthesis] == "(":
            self.index = parenthesis + 1
        else:
            self.expect("(", "function")
        parameters = [Binding("self", self.lines[opening])] if is_method else []
        is_vararg = False
        self.wanted_parentheses += 1
        if kinds[self.index] != ")":
            is_vararg = self.bindings(parameters, depth, is_parameters=True)
        if kinds[self.index] == ")":
            self.index += 1
        else:
            self.expect_closing(")", parenthesis, search=True)
        self.wanted_parentheses -= 1
        if kinds[self.index] in (":", "->"):
            self.return_annotation(depth)

        names = self.local_names
        if names is not None:
            if local_name:
                names.declare(local_name, is_const=is_const)
            names.enter_function()
            for parameter in parameters:
                names.declare(parameter.name)
        outer = self.is_vararg, self.loop_depth
        self.is_vararg, self.loop_depth = is_vararg, 0
        self.function_depth += 1
        body = self.block(depth)
        self.function_depth -= 1
        self.is_vararg, self.loop_depth = outer
        if names is not None:
            names.leave_function()

        end_line = self.lines[self.index]
        self.expect_end("end", opening, column_of)
        line = self.lines[opening if column_of < 0 else column_of]
        return tree.Function(attributes or [], parameters, is_vararg, body, end_line, line)

    def binding(self, depth: int) -> Binding:
        index = self.index
        if self.kinds[index] == NAME:
            self.index = index + 1
            binding = Binding(self.texts[index], self.lines[index])
        else:
            binding = Binding(self.name("variable name"), self.lines[index])
        if self.kinds[self.index] == ":":
            self.index += 1
            self.annotation(depth)
        return binding

    def bindings(self, found: list[Binding], depth: int, *, is_parameters: bool = False) -> bool:
        """Reads names with optional types into `found`; whether `...` ends them, where they are parameters."""
        while True:
            if is_parameters and self.kinds[self.index] == "...":
                self.index += 1
                if self.kinds[self.index] == ":":
                    self.index += 1
                    self.vararg_annotation(depth)
                return True
            found.append(self.binding(depth))
            if self.kinds[self.index] != ",":
                return False
            self.index += 1

    readers: ClassVar[dict[str, Callable[[Any, int], Expression]]] = {
        **LITERAL_READERS,
        lexer.ATTRIBUTE: attributed_function,
        "@[": attributed_function,
        "{": ExpressionParser.table,
        "function": function,
        "if": ExpressionParser.if_expression,
    }

"""Reads declarations: functions, locals and constants, exports, types; and says what may be assigned to."""

from __future__ import annotations

from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.lexer import NAME, Tokens
from moonlatch.obfuscator.syntax.parser_expressions import is_assignable, location_of
from moonlatch.obfuscator.syntax.parser_functions import FunctionParser
from moonlatch.obfuscator.syntax.recovery import MAX_NESTING, MISSING_NAME
from moonlatch.obfuscator.syntax.tree import Binding, Expression, Statement


class BrokenStatement(Statement):
    """Stands where no statement could be read; never in a tree that is handed out."""

    __slots__ = ()


class DeclarationParser(FunctionParser):
    """Declarations."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.exported_names: set[str] = set()
        self.has_module_return = False

    def check_target(self, value: Expression, first: int) -> None:
        """Reports a value that cannot be assigned to; token `first` began it."""
        if is_assignable(value):
            names = self.local_names
            if names is None or not isinstance(value, tree.Name) or not names.is_constant(value.name):
                return
            message = f"Variable '{value.name}' is constant and may not be reassigned"
        else:
            message = "Assigned expression must be a variable or a field"
        start, end = location_of(self, value, first)
        self.report(start, end, message)

    def declare(self, bindings: list[Binding], *, is_const: bool = False) -> None:
        if self.local_names is not None:
            for binding in bindings:
                self.local_names.declare(binding.name, is_const=is_const)

    def function_statement(self, depth: int, attributes: list[tree.Attribute] | None = None) -> Statement:
        opening = self.index
        self.index = opening + 1
        first = self.index
        target, is_method = self.function_name(depth)
        self.check_target(target, first)
        self.wanted_ends += 1
        function = self.function_body(depth, opening, attributes=attributes, is_method=is_method)
        self.wanted_ends -= 1
        if not isinstance(target, tree.Name | tree.IndexName):
            return BrokenStatement()
        return tree.FunctionDeclaration(target, is_method, function, self.lines[opening])

    def function_name(self, depth: int) -> tuple[Expression, bool]:
        """Reads `a.b:c`; answers it and whether it has a `:`."""
        index = self.index
        target: Expression
        if self.kinds[index] == NAME:
            target = tree.Name(self.name("function name"), self.lines[index])
        else:
            target = self.missing_name("function name")
        while self.kinds[self.index] == ".":
            self.index += 1
            index = self.index
            target = tree.IndexName(target, self.name("field name"), self.lines[index])
            depth += 1
            if depth > MAX_NESTING:
                self.too_deep("function name")
        if self.kinds[self.index] != ":":
            return target, False
        self.index += 1
        index = self.index
        return tree.IndexName(target, self.name("method name"), self.lines[index]), True

    def local_statement(self, depth: int) -> Statement:
        self.index += 1
        return self.declaration(depth, self.index - 1)

    def declaration(
        self, depth: int, first: int, attributes: list[tree.Attribute] | None = None, *, is_const: bool = False
    ) -> Statement:
        """Reads what follows `local` or `const`; token `first` begins the statement."""
        if self.kinds[self.index] == "function":
            return self.local_function(depth, first, attributes, is_const=is_const)
        if attributes:
            found = self.describe(self.index)
            self.report_here(f"Expected 'function' after local declaration with attribute, but got {found} instead")
            return BrokenStatement()
        bindings: list[Binding] = []
        values: list[Expression] = []
        self.wanted_equals += 1
        self.bindings(bindings, depth)
        self.wanted_equals -= 1
        if self.kinds[self.index] == "=":
            self.index += 1
            values = self.expressions(depth)
        self.declare(bindings, is_const=is_const)
        if is_const and len(values) != len(bindings):
            may_be_enough = values and isinstance(values[-1], tree.Call | tree.MethodCall | tree.Varargs)
            if not may_be_enough:
                self.report_since(first, "Missing initializer in const declaration")
        return tree.Local(bindings, values, is_const, False, self.lines[first])

    def local_function(
        self, depth: int, first: int, attributes: list[tree.Attribute] | None, *, is_const: bool
    ) -> Statement:
        opening = self.index
        self.index = opening + 1
        index = self.index
        binding = Binding(self.name("variable name"), self.lines[index])
        self.wanted_ends += 1
        function = self.function_body(
            depth,
            opening,
            column_of=first if self.lines[first] == self.lines[opening] else -1,
            attributes=attributes,
            local_name=binding.name,
            is_const=is_const,
        )
        self.wanted_ends -= 1
        return tree.LocalFunction(binding, function, is_const, False, self.lines[first])

    def attributed_statement(self, depth: int) -> Statement:
        first = self.index
        attributes = self.attributes(depth)
        kind = self.kinds[self.index]
        if kind == "function":
            return self.function_statement(depth, attributes)
        if kind == "local":
            self.index += 1
            return self.declaration(depth, first, attributes)
        if kind == NAME and self.texts[self.index] == "export":
            self.index += 1
            return self.export(depth, first, attributes)
        if kind == NAME and self.texts[self.index] == "const":
            self.index += 1
            return self.declaration(depth, first, attributes, is_const=True)
        self.report_here(
            "Expected 'function', 'local function', 'const function', 'declare function' or a function type declaration"
            f" after attribute, but got {self.describe(self.index)} instead"
        )
        return BrokenStatement()

    def export(self, depth: int, first: int, attributes: list[tree.Attribute] | None = None) -> Statement:
        """Reads what follows `export`, which token `first` (or an attribute before it) began."""
        if self.function_depth != 0 or depth != 1:
            self.report_at(first, "'export' may only be applied to top-level statements")
        if self.has_module_return:
            message = "Exporting values is not compatible with top-level return (export/return conflict)"
            self.report_at(first, message)
        kind = self.texts[self.index]
        if attributes and kind != "function":
            found = self.describe(self.index)
            self.report_here(f"Expected 'function' after export declaration with attribute, but got {found} instead")
        if kind == "function":
            return self.export_function(depth, first, attributes)
        if kind not in ("local", "const"):
            self.report_at(first, "'export' must be followed by an identifier or 'function'")
            return BrokenStatement()
        if self.kinds[self.index + 1] == "function":
            hint = "; try removing 'local'" if kind == "local" else ""
            self.report_at(first, f"'export' must be followed by an identifier or 'function'{hint}")
            self.index += kind == "const"  # Luau goes on with `local` as if a name should stand there
            return self.declaration(depth, first, is_const=True)
        self.index += 1
        declared = self.index
        statement = self.declaration(depth, first, is_const=kind == "const")
        if isinstance(statement, tree.Local):
            statement.is_exported = True
            self.export_names(statement.bindings, declared)
        return statement

    def export_function(self, depth: int, first: int, attributes: list[tree.Attribute] | None) -> Statement:
        declared = self.index + 1
        statement = self.declaration(depth, first, attributes, is_const=True)
        if isinstance(statement, tree.LocalFunction):
            statement.is_exported = True
            self.export_names([statement.binding], declared)
        return statement

    def export_names(self, bindings: list[Binding], index: int) -> None:
        """Notes names as exported; their tokens are at or after `index`."""
        for binding in bindings:
            if binding.name in self.exported_names:
                message = f"Duplicate exported identifier '{binding.name}'"
                if binding.name == MISSING_NAME:
                    self.report(self.tokens.starts[index], self.tokens.starts[index], message)
                    continue
                while self.texts[index] != binding.name:
                    index += 1
                self.report_at(index, message)
            self.exported_names.add(binding.name)

    def type_statement(self, depth: int, first: int, *, is_exported: bool) -> Statement:
        """Reads what follows `type`."""
        if self.kinds[self.index] == "function":
            return self.type_function(depth, first, is_exported=is_exported)
        name = self.name("type name")
        self.generics(depth, with_defaults=True)
        self.expect("=", "type alias")
        self.annotation(depth)
        starts = self.tokens.starts
        return tree.TypeAlias(name, is_exported, starts[first], self.tokens.end(self.index - 1), self.lines[first])

    def type_function(self, depth: int, first: int, *, is_exported: bool) -> Statement:
        opening = self.index
        self.index = opening + 1
        name = self.name("type function name")
        names = self.local_names
        outer = 0 if names is None else names.enter_type_function()
        self.wanted_ends += 1
        function = self.function_body(depth, opening)
        self.wanted_ends -= 1
        if names is not None:
            names.leave_type_function(outer)
        return tree.TypeFunction(name, is_exported, function, self.lines[first])

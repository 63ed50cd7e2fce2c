"""Turns a syntax tree into the tightest text that parses back to it: one line, ASCII, no types, no comments.

It never changes a meaning: parentheses stay where they truncate to one value, and `;` where a call could begin.
"""

from __future__ import annotations

from collections.abc import Callable

from moonlatch.obfuscator import spelling
from moonlatch.obfuscator import syntax as s
from moonlatch.obfuscator.spelling import Target

# Left and right binding strength, as in Luau's own parser; a right one below the left makes the operator right-associative.
_PRIORITY: dict[str, tuple[int, int]] = {
    "or": (1, 1),
    "and": (2, 2),
    "==": (3, 3),
    "~=": (3, 3),
    "<": (3, 3),
    "<=": (3, 3),
    ">": (3, 3),
    ">=": (3, 3),
    "..": (5, 4),
    "+": (6, 6),
    "-": (6, 6),
    "*": (7, 7),
    "/": (7, 7),
    "//": (7, 7),
    "%": (7, 7),
    "^": (10, 9),
}
_UNARY_PRIORITY = 8
_WRAPPERS = (s.Group, s.TypeAssertion, s.Instantiation)
_PREFIXES = (s.Name, s.IndexName, s.Index, s.Call, s.MethodCall)
_MULTIPLE = (s.Call, s.MethodCall, s.Varargs)
_SELF_CONTAINED = (s.Do, s.While, s.NumericFor, s.GenericFor, s.If, s.LocalFunction, s.FunctionDeclaration)
_TYPES = (s.TypeAlias, s.TypeFunction)
# What the last token was: a word and a number need a space before a letter or digit, a number also before a dot.
_AFTER_WORD = "a"
_AFTER_NUMBER = "0"
_AFTER_TEXT = "a0"


def print_chunk(chunk: s.Chunk, target: Target = Target.LUAU) -> str:
    """The chunk as one line of text. The caller has made sure that `target` has every construct in it."""
    printer = _Printer(target)
    printer.block(chunk.body)
    return printer.text()


def unwrapped(node: s.Expression) -> s.Expression:
    """The expression inside any parentheses, casts and explicit instantiations."""
    while isinstance(node, _WRAPPERS):
        node = node.value
    return node


class _Printer:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._out: list[str] = []
        self._last = ";"
        self._numbers: dict[str, str] = {}
        self._expressions: dict[type[s.Expression], Callable[..., None]] = {
            s.Nil: lambda _: self._word("nil"),
            s.TrueValue: lambda _: self._word("true"),
            s.FalseValue: lambda _: self._word("false"),
            s.Varargs: lambda _: self._mark("..."),
            s.Number: self._number,
            s.Integer: self._integer,
            s.String: self._string,
            s.InterpolatedString: self._interpolated,
            s.Name: self._name,
            s.Group: self._wrapper,
            s.TypeAssertion: self._wrapper,
            s.Instantiation: self._wrapper,
            s.IndexName: self._index_name,
            s.Index: self._index,
            s.Call: self._call,
            s.MethodCall: self._method_call,
            s.Unary: self._unary,
            s.Binary: self._binary,
            s.IfExpression: self._if_expression,
            s.Table: self._table,
            s.Function: self._function,
        }
        self._statements: dict[type[s.Statement], Callable[..., None]] = {
            s.Local: self._local,
            s.LocalFunction: self._local_function,
            s.FunctionDeclaration: self._function_declaration,
            s.Assign: self._assign,
            s.CompoundAssign: self._compound_assign,
            s.CallStatement: self._call_statement,
            s.Do: self._do,
            s.While: self._while,
            s.Repeat: self._repeat,
            s.NumericFor: self._numeric_for,
            s.GenericFor: self._generic_for,
            s.If: self._if,
            s.Return: self._return,
            s.Break: lambda _: self._word("break"),
            s.Continue: lambda _: self._word("continue"),
        }

    def text(self) -> str:
        return "".join(self._out)

    # Tokens

    def _word(self, text: str) -> None:
        if self._last in _AFTER_TEXT:
            self._out.append(" ")
        self._out.append(text)
        self._last = _AFTER_WORD

    def _mark(self, text: str) -> None:
        last, first = self._last, text[0]
        if (last == first and first in "-.[") or (last == _AFTER_NUMBER and first == "."):
            self._out.append(" ")
        self._out.append(text)
        self._last = text[-1]

    def _number(self, node: s.Number) -> None:
        text = self._numbers.get(node.text)
        if text is None:
            text = self._numbers[node.text] = spelling.number(node.value, node.text, self._target)
        self._digits(text)

    def _integer(self, node: s.Integer) -> None:
        self._digits(f"{node.value}i" if node.value >= 0 else f"{node.value & 0xFFFFFFFFFFFFFFFF:#x}i")

    def _digits(self, text: str) -> None:
        last = self._last
        if last == "." if text[0] == "." else last in _AFTER_TEXT:
            self._out.append(" ")
        self._out.append(text)
        self._last = _AFTER_NUMBER

    def _string(self, node: s.String) -> None:
        self._mark(spelling.string(node.value, self._target))

    # Expressions

    def _expression(self, node: s.Expression) -> None:
        self._expressions[type(node)](node)

    def _name(self, node: s.Name) -> None:
        if self._last in _AFTER_TEXT:
            self._out.append(" ")
        self._out.append(node.name)
        self._last = _AFTER_WORD

    def _wrapper(self, node: s.Expression) -> None:
        self._expression(unwrapped(node))

    def _parenthesised(self, node: s.Expression) -> None:
        self._mark("(")
        self._expression(node)
        self._mark(")")

    def _list(self, nodes: list[s.Expression]) -> None:
        """Values of which the last may be several: parentheses around that one mean something."""
        final = len(nodes) - 1
        for position, node in enumerate(nodes):
            if position:
                self._mark(",")
            if position == final:
                self._last_value(node)
            else:
                self._expression(node)

    def _last_value(self, node: s.Expression) -> None:
        inner = unwrapped(node)
        if inner is not node and isinstance(inner, _MULTIPLE):
            self._parenthesised(inner)
        else:
            self._expression(inner)

    def _prefix(self, node: s.Expression) -> None:
        inner = unwrapped(node)
        if isinstance(inner, _PREFIXES):
            self._expression(inner)
        else:
            self._parenthesised(inner)

    def _interpolated(self, node: s.InterpolatedString) -> None:
        self._out.append("`")
        for position, part in enumerate(node.parts):
            if position:
                self._out.append("{")
                self._last = ";"
                start = len(self._out)
                self._expression(node.values[position - 1])
                if self._out[start].startswith("{"):
                    self._out[start] = " " + self._out[start]
                self._out.append("}")
            self._out.append(spelling.escaped(part, self._target, "`{"))
        self._out.append("`")
        self._last = "`"

    def _index_name(self, node: s.IndexName) -> None:
        self._prefix(node.object)
        if self._target is Target.LUA51 and node.name == "goto":
            self._mark('["goto"]')
            return
        self._out.append(".")
        self._out.append(node.name)
        self._last = _AFTER_WORD

    def _index(self, node: s.Index) -> None:
        self._prefix(node.object)
        key = unwrapped(node.key)
        if isinstance(key, s.String) and spelling.is_identifier(key.value, self._target):
            self._mark(".")
            self._word(key.value.decode("ascii"))
            return
        self._bracketed(key)

    def _bracketed(self, key: s.Expression) -> None:
        self._mark("[")
        self._expression(key)
        self._mark("]")

    def _arguments(self, nodes: list[s.Expression]) -> None:
        if len(nodes) == 1:
            sole = unwrapped(nodes[0])
            if isinstance(sole, s.String | s.Table):
                self._expression(sole)
                return
        self._out.append("(")
        self._last = "("
        self._list(nodes)
        self._mark(")")

    def _call(self, node: s.Call) -> None:
        self._prefix(node.function)
        self._arguments(node.arguments)

    def _method_call(self, node: s.MethodCall) -> None:
        self._prefix(node.object)
        self._mark(":")
        self._word(node.name)
        self._arguments(node.arguments)

    def _operand(self, node: s.Expression, strength: int, *, ties: bool) -> None:
        """An operand of an operator of that strength; `ties` says that an equally strong one needs no parentheses."""
        inner = unwrapped(node)
        if isinstance(inner, s.Binary):
            own = _PRIORITY[inner.operator][0]
            needs = own < strength or (own == strength and not ties)
        else:
            needs = isinstance(inner, s.IfExpression)
        if needs:
            self._parenthesised(inner)
        else:
            self._expression(inner)

    def _unary(self, node: s.Unary) -> None:
        if node.operator == "not":
            self._word("not")
        else:
            self._mark(node.operator)
        self._operand(node.operand, _UNARY_PRIORITY, ties=True)

    def _binary(self, node: s.Binary) -> None:
        strength, right_strength = _PRIORITY[node.operator]
        left = unwrapped(node.left)
        if isinstance(left, s.Unary) and strength > _UNARY_PRIORITY:
            self._parenthesised(left)
        else:
            self._operand(left, strength, ties=strength == right_strength)
        if node.operator in ("and", "or"):
            self._word(node.operator)
        else:
            self._mark(node.operator)
        self._operand(node.right, strength, ties=strength != right_strength)

    def _if_expression(self, node: s.IfExpression) -> None:
        for position, (condition, value) in enumerate(node.clauses):
            self._word("elseif" if position else "if")
            self._expression(condition)
            self._word("then")
            self._expression(value)
        self._word("else")
        self._expression(node.otherwise)

    def _table(self, node: s.Table) -> None:
        self._mark("{")
        final = len(node.items) - 1
        for position, item in enumerate(node.items):
            if position:
                self._mark(",")
            if isinstance(item, s.PositionalItem):
                if position == final:
                    self._last_value(item.value)
                else:
                    self._expression(item.value)
            else:
                self._keyed_item(item)
        self._mark("}")

    def _keyed_item(self, item: s.TableItem) -> None:
        if isinstance(item, s.NamedItem):
            if self._target is Target.LUA51 and item.name == "goto":
                self._mark('["goto"]')
            else:
                self._word(item.name)
            self._mark("=")
            self._expression(item.value)
        elif isinstance(item, s.KeyedItem):
            key = unwrapped(item.key)
            if isinstance(key, s.String) and spelling.is_identifier(key.value, self._target):
                self._word(key.value.decode("ascii"))
            else:
                self._bracketed(key)
            self._mark("=")
            self._expression(item.value)

    def _attributes(self, function: s.Function) -> None:
        for attribute in function.attributes:
            self._mark("@")
            self._last = ";"
            self._word(attribute.name)

    def _function(self, node: s.Function) -> None:
        self._attributes(node)
        self._word("function")
        self._function_rest(node, node.parameters)

    def _function_rest(self, node: s.Function, parameters: list[s.Binding]) -> None:
        names = [parameter.name for parameter in parameters]
        if node.is_vararg:
            names.append("...")
        self._mark("(" + ",".join(names) + ")")
        self.block(node.body)
        self._word("end")

    # Statements

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
            statements[type(statement)](statement)
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
            self._list(node.values)

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
            self._function_name(node.target.object)
            self._mark(":")
            self._word(node.target.name)
            parameters = parameters[1:]
        else:
            self._function_name(node.target)
        self._function_rest(node.function, parameters)

    def _function_name(self, node: s.Expression) -> None:
        """As an expression, but `function t["goto"]()` is no Lua, so that name stays what the source has."""
        if isinstance(node, s.IndexName):
            self._function_name(node.object)
            self._mark(".")
            self._word(node.name)
        else:
            self._expression(node)

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
        if isinstance(node, s.IndexName | s.Index | s.MethodCall):
            node = node.object
        elif isinstance(node, s.Call):
            node = node.function
        elif isinstance(node, _WRAPPERS):
            node = node.value
        else:
            return not isinstance(node, s.Name)

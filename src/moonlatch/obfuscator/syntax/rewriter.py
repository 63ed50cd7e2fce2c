"""Walks a tree and replaces nodes in place. Passes subclass it and override only the constructs they change."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, TypeVar

from moonlatch.obfuscator.syntax import tree as s

# Tuples, because a union is made anew each time that it is asked about.
_CALLS = (s.Call, s.MethodCall)
_VALUE_ITEMS = (s.NamedItem, s.PositionalItem)
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")
Replacement = s.Statement | list[s.Statement] | None


class Rewriter:
    """Visits every expression and statement once, children first unless an override decides otherwise.

    An expression method returns the node that takes its place. A statement method returns a statement, several, or
    None to drop it. Methods are found by class name: `rewrite_index_name` gets every `IndexName`.
    Functions in `sealed` are left alone with everything in them.
    """

    # Of the class, not the object: bound methods in an object make a cycle, which keeps whole trees until a collection.
    # What has nothing in it and no method of its own is in none of them: most of a tree is that, and a call costs.
    _expressions: ClassVar[dict[type[s.Node], Callable[[Any, Any], s.Expression]]]
    _statements: ClassVar[dict[type[s.Node], Callable[[Any, Any], Replacement]]]
    _methods: ClassVar[dict[type[s.Node], Callable[[Any, Any], Any]]]

    def __init_subclass__(cls) -> None:
        methods = {kind: getattr(cls, _method_name(kind), None) for kind in (*_EXPRESSIONS, *_STATEMENTS)}
        cls._methods = {kind: method for kind, method in methods.items() if method is not None}
        # One that overrides `expression` or `statement` gets every single one of them.
        each_expression, each_statement = cls.expression, cls.statement
        is_plain = each_expression is Rewriter.expression
        cls._expressions = cls._methods if is_plain else dict.fromkeys(_EXPRESSIONS, each_expression)
        is_plain = each_statement is Rewriter.statement
        cls._statements = cls._methods if is_plain else dict.fromkeys(_STATEMENTS, each_statement)

    def __init__(self, sealed: AbstractSet[s.Function] = frozenset()) -> None:
        self._sealed = sealed

    def chunk(self, chunk: s.Chunk) -> None:
        self.block(chunk.body)

    def block(self, block: s.Block) -> None:
        visit = self._statements.get
        body: list[s.Statement] | None = None
        for place, statement in enumerate(block.body):
            rewrite = visit(type(statement))
            replacement = statement if rewrite is None else rewrite(self, statement)
            if body is None:
                if replacement is statement:
                    continue
                body = block.body[:place]
            if isinstance(replacement, list):
                body.extend(replacement)
            elif replacement is not None:
                body.append(replacement)
        if body is not None:
            block.body = body

    def statement(self, node: s.Statement) -> Replacement:
        rewrite: Callable[[Any, Any], Replacement] | None = self._methods.get(type(node))
        return node if rewrite is None else rewrite(self, node)

    def expression(self, node: s.Expression) -> s.Expression:
        rewrite: Callable[[Any, Any], s.Expression] | None = self._methods.get(type(node))
        return node if rewrite is None else rewrite(self, node)

    def expressions(self, nodes: list[s.Expression]) -> list[s.Expression]:
        """The list itself, with what takes the place of each."""
        visit = self._expressions.get
        for place, node in enumerate(nodes):
            rewrite = visit(type(node))
            if rewrite is not None:
                nodes[place] = rewrite(self, node)
        return nodes

    def function(self, function: s.Function) -> None:
        self.block(function.body)

    def _enter(self, function: s.Function) -> None:
        if function not in self._sealed:
            self.function(function)

    # Expressions

    def rewrite_interpolated_string(self, node: s.InterpolatedString) -> s.Expression:
        node.values = self.expressions(node.values)
        return node

    def rewrite_group(self, node: s.Group) -> s.Expression:
        node.value = self.expression(node.value)
        return node

    def rewrite_index_name(self, node: s.IndexName) -> s.Expression:
        rewrite = self._expressions.get(type(node.object))
        if rewrite is not None:
            node.object = rewrite(self, node.object)
        return node

    def rewrite_index(self, node: s.Index) -> s.Expression:
        # As `expression` does, without a call for leaves, as below.
        visit = self._expressions.get
        indexed, key = node.object, node.key
        rewrite = visit(type(indexed))
        if rewrite is not None:
            node.object = rewrite(self, indexed)
        rewrite = visit(type(key))
        if rewrite is not None:
            node.key = rewrite(self, key)
        return node

    def rewrite_call(self, node: s.Call) -> s.Expression:
        rewrite = self._expressions.get(type(node.function))
        if rewrite is not None:
            node.function = rewrite(self, node.function)
        self.expressions(node.arguments)
        return node

    def rewrite_method_call(self, node: s.MethodCall) -> s.Expression:
        rewrite = self._expressions.get(type(node.object))
        if rewrite is not None:
            node.object = rewrite(self, node.object)
        self.expressions(node.arguments)
        return node

    def rewrite_instantiation(self, node: s.Instantiation) -> s.Expression:
        node.value = self.expression(node.value)
        return node

    def rewrite_type_assertion(self, node: s.TypeAssertion) -> s.Expression:
        node.value = self.expression(node.value)
        return node

    def rewrite_unary(self, node: s.Unary) -> s.Expression:
        node.operand = self.expression(node.operand)
        return node

    def rewrite_binary(self, node: s.Binary) -> s.Expression:
        visit = self._expressions.get
        left, right = node.left, node.right
        rewrite = visit(type(left))
        if rewrite is not None:
            node.left = rewrite(self, left)
        rewrite = visit(type(right))
        if rewrite is not None:
            node.right = rewrite(self, right)
        return node

    def rewrite_if_expression(self, node: s.IfExpression) -> s.Expression:
        node.clauses = [(self.expression(condition), self.expression(value)) for condition, value in node.clauses]
        node.otherwise = self.expression(node.otherwise)
        return node

    def rewrite_table(self, node: s.Table) -> s.Expression:
        for item in node.items:
            if isinstance(item, s.KeyedItem):
                item.key = self.expression(item.key)
                item.value = self.expression(item.value)
            elif isinstance(item, _VALUE_ITEMS):
                item.value = self.expression(item.value)
        return node

    def rewrite_function(self, node: s.Function) -> s.Expression:
        self._enter(node)
        return node

    # Statements

    def rewrite_local(self, node: s.Local) -> Replacement:
        node.values = self.expressions(node.values)
        return node

    def rewrite_local_function(self, node: s.LocalFunction) -> Replacement:
        self._enter(node.function)
        return node

    def rewrite_function_declaration(self, node: s.FunctionDeclaration) -> Replacement:
        target = self.expression(node.target)
        self._enter(node.function)
        if isinstance(target, s.Name | s.IndexName) and _is_chain_of_names(target):
            node.target = target
            return node
        return s.Assign([target], [node.function], node.line)

    def rewrite_assign(self, node: s.Assign) -> Replacement:
        node.targets = self.expressions(node.targets)
        node.values = self.expressions(node.values)
        return node

    def rewrite_compound_assign(self, node: s.CompoundAssign) -> Replacement:
        node.target = self.expression(node.target)
        node.value = self.expression(node.value)
        return node

    def rewrite_call_statement(self, node: s.CallStatement) -> Replacement:
        call = self.expression(node.call)
        if isinstance(call, _CALLS):
            node.call = call
        return node

    def rewrite_do(self, node: s.Do) -> Replacement:
        self.block(node.body)
        return node

    def rewrite_while(self, node: s.While) -> Replacement:
        node.condition = self.expression(node.condition)
        self.block(node.body)
        return node

    def rewrite_repeat(self, node: s.Repeat) -> Replacement:
        self.block(node.body)
        node.condition = self.expression(node.condition)
        return node

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        node.start = self.expression(node.start)
        node.limit = self.expression(node.limit)
        if node.step is not None:
            node.step = self.expression(node.step)
        self.block(node.body)
        return node

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        node.values = self.expressions(node.values)
        self.block(node.body)
        return node

    def rewrite_if(self, node: s.If) -> Replacement:
        for place, (condition, block) in enumerate(node.clauses):
            rewritten = self.expression(condition)
            if rewritten is not condition:
                node.clauses[place] = (rewritten, block)
            self.block(block)
        if node.otherwise is not None:
            self.block(node.otherwise)
        return node

    def rewrite_return(self, node: s.Return) -> Replacement:
        node.values = self.expressions(node.values)
        return node


def _is_chain_of_names(node: s.Expression) -> bool:
    """What may stand after `function` in a declaration."""
    while isinstance(node, s.IndexName):
        node = node.object
    return isinstance(node, s.Name)


def _method_name(kind: type[s.Node]) -> str:
    return "rewrite_" + _WORD_START.sub("_", kind.__name__).lower()


_EXPRESSIONS: tuple[type[s.Expression], ...] = (
    s.Nil,
    s.TrueValue,
    s.FalseValue,
    s.Varargs,
    s.Number,
    s.Integer,
    s.String,
    s.InterpolatedString,
    s.Name,
    s.Group,
    s.IndexName,
    s.Index,
    s.Call,
    s.MethodCall,
    s.Instantiation,
    s.TypeAssertion,
    s.Unary,
    s.Binary,
    s.IfExpression,
    s.Choice,
    s.Table,
    s.Function,
)
_STATEMENTS: tuple[type[s.Statement], ...] = (
    s.Local,
    s.LocalFunction,
    s.FunctionDeclaration,
    s.Assign,
    s.CompoundAssign,
    s.CallStatement,
    s.Do,
    s.While,
    s.Repeat,
    s.NumericFor,
    s.GenericFor,
    s.If,
    s.Return,
    s.Break,
    s.Continue,
    s.TypeAlias,
    s.TypeFunction,
)


# Below the tables, which every subclass reads when it is made.
class InFunctions(Rewriter):
    """Knows the function that it is in; `current` is None in the chunk's own code."""

    def __init__(self, sealed: AbstractSet[s.Function] = frozenset()) -> None:
        super().__init__(sealed)
        self.current: s.Function | None = None

    def function(self, function: s.Function) -> None:
        outer, self.current = self.current, function
        super().function(function)
        self.current = outer


AnyLoop = TypeVar("AnyLoop", s.While, s.Repeat, s.NumericFor, s.GenericFor)


class AroundLoops(Rewriter):
    """Does something around every loop; those in `machines` run no more often than what they stand for, and are none."""

    machines: AbstractSet[s.While] = frozenset()

    def around_loop(self, node: AnyLoop, rewrite: Callable[[AnyLoop], Replacement]) -> Replacement:
        """Visits a loop with `rewrite`."""
        return rewrite(node)

    def rewrite_while(self, node: s.While) -> Replacement:
        rewrite = super().rewrite_while
        return rewrite(node) if node in self.machines else self.around_loop(node, rewrite)

    def rewrite_repeat(self, node: s.Repeat) -> Replacement:
        return self.around_loop(node, super().rewrite_repeat)

    def rewrite_numeric_for(self, node: s.NumericFor) -> Replacement:
        return self.around_loop(node, super().rewrite_numeric_for)

    def rewrite_generic_for(self, node: s.GenericFor) -> Replacement:
        return self.around_loop(node, super().rewrite_generic_for)

"""Counts the registers that Luau's compiler needs for expressions, and resolves the names in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from moonlatch.obfuscator.analysis.registers import RegisterFrame, first_line
from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.tree import Binding, Block, Expression

LITERALS = (tree.Nil, tree.TrueValue, tree.FalseValue, tree.Number, tree.Integer, tree.String)
# Tuples, because a union is made anew each time that it is asked about, and that is for every expression of a script.
WRAPPERS = (tree.Group, tree.TypeAssertion)
OPERATIONS = (tree.Unary, tree.Binary)
CALLS = (tree.Call, tree.MethodCall)
ARRAY_CHUNK = 16
TOO_MANY_RESULTS = 255  # the count that means "all of them" in a call instruction


class ExpressionRegisters(ABC):
    """One walk over a script. `assigned` are the bindings assigned after their declaration; None takes all for such."""

    def __init__(self, assigned: set[Binding] | None) -> None:
        self.faults: list[Diagnostic] = []
        self.assigned = assigned
        self.written: set[Binding] = set()
        self.constants: set[Binding] = set()
        self._folded: dict[Expression, bool] = {}
        self.frame = RegisterFrame()
        self.scope: dict[str, list[Binding]] = {}
        self.declared: list[Binding] = []
        self.owners: dict[Binding, RegisterFrame] = {}
        self.watched: set[Binding] = set()
        self.watched_found: Binding | None = None

    @abstractmethod
    def block(self, block: Block) -> None:
        """Walks the statements of a function's body."""

    # Names

    def declare(self, binding: Binding) -> None:
        self.scope.setdefault(binding.name, []).append(binding)
        self.declared.append(binding)
        self.owners[binding] = self.frame

    def leave(self, mark: int) -> None:
        for binding in self.declared[mark:]:
            self.scope[binding.name].pop()
        del self.declared[mark:]

    def resolve(self, name: str) -> Binding | None:
        found = self.scope.get(name)
        if not found:
            return None
        binding = found[-1]
        if binding in self.watched and self.watched_found is None:
            self.watched_found = binding
        return binding

    def in_register(self, value: Expression) -> bool:
        """Return whether a value already stands in a register, being a local of this function."""
        while isinstance(value, WRAPPERS):
            value = value.value
        if not isinstance(value, tree.Name):
            return False
        binding = self.resolve(value.name)
        return binding is not None and self.owners[binding] is self.frame and binding not in self.constants

    def is_constant(self, value: Expression) -> bool:
        """Return whether the compiler knows the value; operators on constants are taken to be folded."""
        if isinstance(value, LITERALS):
            return True
        if isinstance(value, tree.Name):
            binding = self.resolve(value.name)
            return binding is not None and binding in self.constants
        if isinstance(value, WRAPPERS):
            return self.is_constant(value.value)
        if isinstance(value, OPERATIONS):
            # Asked again at every level of a chain of operators.
            known = self._folded.get(value)
            if known is None:
                operands = (value.operand,) if isinstance(value, tree.Unary) else (value.left, value.right)
                known = self._folded[value] = all(map(self.is_constant, operands))
            return known
        return False

    # Values

    def side_effects(self, value: Expression) -> None:
        top = self.frame.top
        self.auto(value)
        self.frame.top = top

    def auto(self, value: Expression) -> None:
        """A value wherever it fits best: in its own register if it is a local, otherwise in the next one."""
        if not self.in_register(value):
            self.value(value, self.frame.allocate(1, value))

    def values(self, values: list[Expression], first: int, count: int) -> None:
        """Values into `count` registers from `first`, which are the topmost."""
        for index, value in enumerate(values):
            if index == len(values) - 1 and count - index == TOO_MANY_RESULTS:
                self.frame.fail(first_line(value), "Exceeded result count limit; simplify the code to compile")
            if index >= count:
                self.side_effects(value)
            elif index == len(values) - 1 and isinstance(value, CALLS):
                top = self.frame.top
                self.call(value, first + index)
                self.frame.top = top
            else:
                self.value(value, first + index)

    def list_on_top(self, values: list[Expression], first: int) -> None:
        """Values into the registers from `first`, each computed with nothing above it in use."""
        for index, value in enumerate(values):
            top = self.frame.top
            if index == len(values) - 1 and isinstance(value, CALLS):
                self.frame.top = first + index
                self.call(value, first + index)
            else:
                self.frame.top = first + index + 1
                self.value(value, first + index)
            self.frame.top = top

    def value_on_top(self, value: Expression, target: int) -> None:
        top = self.frame.top
        self.frame.top = target + 1
        self.value(value, target)
        self.frame.top = top

    def value(self, value: Expression, target: int) -> None:
        """A value into a register that nothing else uses; takes what registers it needs besides, and gives them back."""
        visit = EXPRESSIONS.get(type(value))
        if visit is not None and not (isinstance(value, OPERATIONS) and self.is_constant(value)):
            top = self.frame.top
            visit(self, value, target)
            self.frame.top = top

    def refer(self, binding: Binding) -> None:
        if self.owners[binding] is not self.frame and binding not in self.constants:
            self.frame.capture(binding)

    def name(self, node: tree.Name, _target: int) -> None:
        binding = self.resolve(node.name)
        if binding is not None:
            self.refer(binding)

    def wrapped(self, node: tree.Group | tree.TypeAssertion | tree.Instantiation, target: int) -> None:
        self.value(node.value, target)

    def index_name(self, node: tree.IndexName, target: int) -> None:
        # A chain a.b.c is computed in one register, however long.
        if self.in_register(node.object):
            return
        if target == self.frame.top - 1:
            self.value(node.object, target)
        else:
            self.auto(node.object)

    def index(self, node: tree.Index, _target: int) -> None:
        self.auto(node.object)
        if not self.is_constant(node.key):
            self.auto(node.key)

    def call_value(self, node: tree.Call | tree.MethodCall, target: int) -> None:
        self.call(node, target if target == self.frame.top - 1 else self.frame.top)

    def call(self, node: tree.Call | tree.MethodCall, base: int) -> None:
        """A call whose function stands in register `base`; whatever is above may be used."""
        is_method = isinstance(node, tree.MethodCall)
        count = 1 + is_method + len(node.arguments)
        taken = max(0, self.frame.top - base)
        if count > taken:
            self.frame.allocate(count - taken, node)
        head = node.object if isinstance(node, tree.MethodCall) else node.function
        if not (is_method and self.in_register(head)):
            self.value_on_top(head, base)
        self.list_on_top(node.arguments, base + 1 + is_method)

    def function(self, node: tree.Function, _target: int) -> None:
        outer = self.frame
        outer.add_closure(first_line(node))
        self.frame = inner = RegisterFrame()
        mark = len(self.declared)
        inner.allocate(len(node.parameters), node)
        for parameter in node.parameters:
            self.declare(parameter)
            inner.add_local(parameter)
        self.block(node.body)
        self.leave(mark)
        self.frame = outer
        if inner.fault is not None:
            self.faults.append(inner.fault)
        for binding in inner.upvalues:
            self.refer(binding)

    def unary(self, node: tree.Unary, _target: int) -> None:
        if not self.is_constant(node.operand):
            self.auto(node.operand)

    def binary(self, node: tree.Binary, target: int) -> None:
        if node.operator == "..":
            parts = unrolled(node)
            first = self.frame.allocate(len(parts), node)
            for index, part in enumerate(parts):
                self.value_on_top(part, first + index)
        elif node.operator in ("and", "or"):
            self.value(node.left, target)
            self.value(node.right, target)
        else:
            self.auto(node.left)
            if not self.is_constant(node.right):
                self.auto(node.right)

    def if_expression(self, node: tree.IfExpression, target: int) -> None:
        for condition, value in node.clauses:
            self.side_effects(condition)
            self.value(value, target)
        self.value(node.otherwise, target)

    def interpolated_string(self, node: tree.InterpolatedString, _target: int) -> None:
        first = self.frame.allocate(2 + len(node.values), node)
        for index, value in enumerate(node.values):
            self.value_on_top(value, first + 2 + index)

    def table(self, node: tree.Table, _target: int) -> None:
        positional = sum(isinstance(item, tree.PositionalItem) for item in node.items)
        chunk = self.frame.allocate(min(ARRAY_CHUNK, positional), node)
        used = 0
        for item in node.items:
            if isinstance(item, tree.PositionalItem):
                used = used % ARRAY_CHUNK
                if item is node.items[-1]:
                    self.list_on_top([item.value], chunk + used)
                else:
                    self.value_on_top(item.value, chunk + used)
                used += 1
                continue
            used = 0
            top = self.frame.top
            if isinstance(item, tree.KeyedItem):
                if not self.is_constant(item.key):
                    self.auto(item.key)
                self.auto(item.value)
            elif isinstance(item, tree.NamedItem):
                self.auto(item.value)
            self.frame.top = top


def unrolled(value: Expression) -> list[Expression]:
    """The operands of `a .. b .. c`, which is one operation."""
    parts: list[Expression] = []
    while isinstance(value, tree.Binary) and value.operator == "..":
        parts.append(value.left)
        value = value.right
    return [*parts, value]


EXPRESSIONS: dict[type[Expression], Callable[[Any, Any, int], None]] = {
    tree.Name: ExpressionRegisters.name,
    tree.Group: ExpressionRegisters.wrapped,
    tree.TypeAssertion: ExpressionRegisters.wrapped,
    tree.Instantiation: ExpressionRegisters.wrapped,
    tree.IndexName: ExpressionRegisters.index_name,
    tree.Index: ExpressionRegisters.index,
    tree.Call: ExpressionRegisters.call_value,
    tree.MethodCall: ExpressionRegisters.call_value,
    tree.Function: ExpressionRegisters.function,
    tree.Unary: ExpressionRegisters.unary,
    tree.Binary: ExpressionRegisters.binary,
    tree.IfExpression: ExpressionRegisters.if_expression,
    tree.InterpolatedString: ExpressionRegisters.interpolated_string,
    tree.Table: ExpressionRegisters.table,
}

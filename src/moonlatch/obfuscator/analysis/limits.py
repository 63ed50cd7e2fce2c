"""Finds what Luau's compiler, not its parser, rejects: too many locals, captured variables, registers, closures or
returned values in a function, and a `continue` that jumps over a local which the loop's `until` reads.

It walks a function as the compiler does and counts registers, but emits nothing. Branches that the compiler drops
because their condition is constant are counted all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moonlatch.obfuscator.analysis.register_use import ExpressionRegisters, unrolled
from moonlatch.obfuscator.analysis.registers import first_line
from moonlatch.obfuscator.syntax import tree
from moonlatch.obfuscator.syntax.diagnostics import Diagnostic
from moonlatch.obfuscator.syntax.tree import Binding, Block, Expression, Statement

MAX_RETURNED = 254


def limit_faults(chunk: tree.Chunk) -> list[Diagnostic]:
    """The first fault of each function, in the order Luau compiles functions: inner ones first, the script itself last."""
    strict = LimitChecker(None)
    strict.script(chunk)
    if not strict.faults:
        return []
    # Locals that always hold a constant take no register, and only now is it known which are never assigned.
    exact = LimitChecker(strict.written)
    exact.script(chunk)
    return exact.faults


class LimitChecker(ExpressionRegisters):
    """Statements."""

    def script(self, chunk: tree.Chunk) -> None:
        self.block(chunk.body)
        if self.frame.fault is not None:
            self.faults.append(self.frame.fault)

    def block(self, block: Block) -> None:
        mark, top, local_count = len(self.declared), self.frame.top, self.frame.locals
        for statement in block.body:
            self.statement(statement)
        self.leave(mark)
        self.frame.top, self.frame.locals = top, local_count

    def statement(self, statement: Statement) -> None:
        visit = STATEMENTS.get(type(statement))
        if visit is not None:
            visit(self, statement)

    def local(self, node: tree.Local) -> None:
        frame = self.frame
        bindings, values = node.bindings, node.values
        if self.assigned is not None and self.are_constant(node, self.assigned):
            self.constants.update(bindings)
            for binding in bindings:
                self.declare(binding)
            return
        is_alias = (
            self.assigned is not None
            and len(bindings) == len(values) == 1
            and not node.is_exported
            and bindings[0] not in self.assigned
            and self.in_register(values[0])
        )
        if not is_alias:
            first = frame.allocate(len(bindings), node)
            self.values(values, first, len(bindings))
        for binding in bindings:
            self.declare(binding)
            frame.add_local(binding)

    def are_constant(self, node: tree.Local, assigned: set[Binding]) -> bool:
        """Return whether all of a statement's locals hold constants for good, so that the compiler drops it."""
        if node.is_exported or len(node.values) > len(node.bindings) or not assigned.isdisjoint(node.bindings):
            return False
        return all(map(self.is_constant, node.values))

    def local_function(self, node: tree.LocalFunction) -> None:
        register = self.frame.allocate(1, node)
        self.declare(node.binding)
        self.frame.add_local(node.binding)
        self.value(node.function, register)

    def function_declaration(self, node: tree.FunctionDeclaration) -> None:
        top = self.frame.top
        self.target(node.target)
        self.auto(node.function)
        self.frame.top = top

    def assign(self, node: tree.Assign) -> None:
        top = self.frame.top
        for target in node.targets:
            self.target(target)
        for index, value in enumerate(node.values):
            rest = len(node.targets) - index
            if index == len(node.values) - 1 and rest > 1:
                first = self.frame.allocate(rest, node)
                self.values([value], first, rest)
            elif rest > 0:
                self.auto(value)
            else:
                self.side_effects(value)
        self.frame.top = top

    def compound_assign(self, node: tree.CompoundAssign) -> None:
        top = self.frame.top
        self.target(node.target)
        if not self.in_register(node.target):
            self.frame.allocate(1, node)
        if node.operator == "..":
            parts = unrolled(node.value)
            first = self.frame.allocate(1 + len(parts), node)
            for index, part in enumerate(parts):
                self.value_on_top(part, first + 1 + index)
        else:
            self.auto(node.value)
        self.frame.top = top

    def target(self, value: Expression) -> None:
        """Evaluates what is needed to assign, and notes a local that is assigned."""
        if isinstance(value, tree.Name):
            binding = self.resolve(value.name)
            if binding is not None:
                self.written.add(binding)
                self.refer(binding)
        elif isinstance(value, tree.IndexName):
            self.auto(value.object)
        elif isinstance(value, tree.Index):
            self.auto(value.object)
            if not self.is_constant(value.key):
                self.auto(value.key)

    def call_statement(self, node: tree.CallStatement) -> None:
        top = self.frame.top
        self.call(node.call, top)
        self.frame.top = top

    def do(self, node: tree.Do) -> None:
        self.block(node.body)

    def while_loop(self, node: tree.While) -> None:
        self.side_effects(node.condition)
        self.block(node.body)

    def repeat(self, node: tree.Repeat) -> None:
        frame = self.frame
        mark, top, local_count = len(self.declared), frame.top, frame.locals
        skipping: int | None = None
        skipped: set[Binding] = set()
        for statement in node.body.body:
            before = len(self.declared)
            self.statement(statement)
            if skipping is not None:
                skipped.update(self.declared[before:])
            else:
                skipping = continue_line(statement)
        self.until(node.condition, skipped, skipping)
        self.leave(mark)
        frame.top, frame.locals = top, local_count

    def until(self, condition: Expression, skipped: set[Binding], continue_at: int | None) -> None:
        """A loop's condition, which must not read the locals that a `continue` on line `continue_at` skipped."""
        frame = self.frame
        outer_watched, outer_found = self.watched, self.watched_found
        self.watched, self.watched_found = outer_watched | skipped if skipped else outer_watched, None
        fault = frame.fault
        self.side_effects(condition)
        found = self.watched_found
        if found is not None and found in skipped and fault is None:
            frame.fault = None
            frame.fail(
                first_line(condition),
                f"Local {found.name} used in the repeat..until condition is undefined"
                f" because continue statement on line {continue_at} jumps over it",
            )
        self.watched = outer_watched
        self.watched_found = outer_found or (found if found in outer_watched else None)

    def numeric_for(self, node: tree.NumericFor) -> None:
        frame = self.frame
        mark, top, local_count = len(self.declared), frame.top, frame.locals
        first = frame.allocate(3, node)
        if self.assigned is not None and node.binding in self.assigned:
            frame.allocate(1, node)
        for value in (node.start, node.limit, node.step):
            if value is not None:
                self.value(value, first)
        self.declare(node.binding)
        frame.add_local(node.binding)
        self.block(node.body)
        self.leave(mark)
        frame.top, frame.locals = top, local_count

    def generic_for(self, node: tree.GenericFor) -> None:
        frame = self.frame
        mark, top, local_count = len(self.declared), frame.top, frame.locals
        first = frame.allocate(3, node)
        self.values(node.values, first, 3)
        frame.allocate(max(len(node.bindings), 2), node)
        for binding in node.bindings:
            self.declare(binding)
            frame.add_local(binding)
        self.block(node.body)
        self.leave(mark)
        frame.top, frame.locals = top, local_count

    def if_statement(self, node: tree.If) -> None:
        for condition, block in node.clauses:
            self.side_effects(condition)
            self.block(block)
        if node.otherwise is not None:
            self.block(node.otherwise)

    def return_values(self, node: tree.Return) -> None:
        if len(node.values) > MAX_RETURNED:
            self.frame.fail(node.line, "Exceeded return count limit; simplify the code to compile")
        top = self.frame.top
        if len(node.values) == 1 and self.in_register(node.values[0]):
            return
        first = self.frame.allocate(len(node.values), node)
        self.list_on_top(node.values, first)
        self.frame.top = top


def continue_line(statement: Statement) -> int | None:
    """The line of the first `continue` in a statement that belongs to the loop around it."""
    match statement:
        case tree.Continue():
            return statement.line
        case tree.Do():
            return _continue_in(statement.body)
        case tree.If():
            blocks = [block for _, block in statement.clauses]
            if statement.otherwise is not None:
                blocks.append(statement.otherwise)
            return next((line for block in blocks if (line := _continue_in(block)) is not None), None)
        case _:
            return None


def _continue_in(block: Block) -> int | None:
    return next((line for statement in block.body if (line := continue_line(statement)) is not None), None)


STATEMENTS: dict[type[Statement], Callable[[Any, Any], None]] = {
    tree.Local: LimitChecker.local,
    tree.LocalFunction: LimitChecker.local_function,
    tree.FunctionDeclaration: LimitChecker.function_declaration,
    tree.Assign: LimitChecker.assign,
    tree.CompoundAssign: LimitChecker.compound_assign,
    tree.CallStatement: LimitChecker.call_statement,
    tree.Do: LimitChecker.do,
    tree.While: LimitChecker.while_loop,
    tree.Repeat: LimitChecker.repeat,
    tree.NumericFor: LimitChecker.numeric_for,
    tree.GenericFor: LimitChecker.generic_for,
    tree.If: LimitChecker.if_statement,
    tree.Return: LimitChecker.return_values,
}
